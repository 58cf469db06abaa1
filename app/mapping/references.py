"""What the references of a record need: their targets by id, or by a lookup that finds exactly one; else the record is held. Pure."""
from __future__ import annotations

from collections.abc import Container, Iterator

from app.mapping.reject import Reject
from app.mapping.rules import Made, Target


def resolved(made: list[Made], targets: list[Target], there: Container[str], found: dict[str, set[str]]) -> list[Made]:
    """The resources of a record with what each lookup gives.

    there: `Type/id` of what exists; found: what each lookup finds. Errors: Reject `dangling` where a target is not here yet, `ambiguous`.
    """
    own, ids = {one.ref for one in made}, {}
    for target in targets:
        if "?" in target.reference:
            ids[target.reference] = _one(target, found.get(target.reference, set()))
        elif target.reference not in own and target.reference not in there:
            raise _dangling(target)
    return [one._replace(content=_with(one.resource, ids)) for one in made] if ids else made


def _one(target: Target, refs: set[str]) -> dict:
    if len(refs) > 1:
        raise Reject("ambiguous", f"{len(refs)} resources have this number", target.column, target.place)
    if refs:
        return {"reference": next(iter(refs))}
    if target.missing == "logical":
        type, _, identifier = target.reference.partition("?identifier=")
        return {"type": type, "identifier": dict(zip(("system", "value"), identifier.split("|", 1)))}
    raise _dangling(target)


def _dangling(target: Target) -> Reject:
    type = target.reference.partition("?")[0].partition("/")[0]
    return Reject("dangling", f"the {type} that it refers to is not here yet; the record is held until it comes", target.column, target.place)


def _with(value, ids: dict[str, dict]):
    """A copy with what lookups gave in their place."""
    if isinstance(value, dict):
        name = value.get("reference")
        if isinstance(name, str) and name in ids:
            return {**{key: child for key, child in value.items() if key != "reference"}, **ids[name]}
        return {key: _with(child, ids) for key, child in value.items()}
    return [_with(child, ids) for child in value] if isinstance(value, list) else value


def lookups(resource: dict) -> Iterator[str]:
    """What lookups would find this resource, as a Target writes them."""
    many = resource.get("identifier", [])
    for one in many if isinstance(many, list) else [many]:
        if "system" in one and "value" in one:
            yield f"{resource['resourceType']}?identifier={one['system']}|{one['value']}"


def notice(found: dict[str, set[str]], ref: str, resource: dict) -> None:
    """Adds `ref` to what each lookup finds that would find this resource."""
    for one in lookups(resource):
        if one in found:
            found[one].add(ref)
