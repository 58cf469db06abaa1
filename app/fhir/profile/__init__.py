"""Resources held against profiles: those that they claim, those that are asked for, and the definitions of their extensions. https://hl7.org/fhir/R4/profiling.html"""
from __future__ import annotations

from app.errors import Issue
from app.fhir.path import Node
from app.fhir.profile import extensions
from app.fhir.profile.judge import Run
from app.fhir.profile.library import Library, known
from app.fhir.profile.tree import BASE

__all__ = ["BASE", "Library", "check", "known"]


def check(resource: dict, asked: tuple[str, ...] = (), library: Library | None = None) -> list[Issue]:
    """What is wrong with a resource of right structure by the profiles of `asked`, by those that it and what it holds claim in meta.profile, and by
    the definitions of extensions; each thing once. A profile that is not known is a warning. Errors: TooCostly."""
    root = Node(resource, resource["resourceType"])
    run = Run(root, library or known())
    claims, extended = extensions.places(resource)
    for url in asked:
        run.claim(root, url)
    for trail in claims:
        node = extensions.at(root, trail)
        for url in node.value["meta"]["profile"] if node is not None else ():
            if isinstance(url, str) and not (node.value is resource and url in asked):
                run.claim(node, url)
    for trail in extended:
        node = extensions.at(root, trail)
        if node is not None:
            extensions.judge(node, run)
    return list(dict.fromkeys(run.issues))
