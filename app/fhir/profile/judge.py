"""A resource held against profiles: each element of a profile's tree with what stands there. https://hl7.org/fhir/R4/validation.html"""
from __future__ import annotations

from app.errors import Issue, TooCostly
from app.fhir.path import BadExpression, Evaluation, Expression, Node, compile
from app.fhir.path.evaluation import BUDGET
from app.fhir.path.fhir import resolve
from app.fhir.path.node import is_a, member
from app.fhir.profile.library import Library, Profile
from app.fhir.profile.rules import checks
from app.fhir.profile.slices import picks
from app.fhir.profile.tree import DEFAULT, Part


class Run:
    """One judgement of a resource. issues: what is wrong; profile: by which one is judged now."""

    def __init__(self, root: Node, library: Library):
        self.root, self.library, self.left = root, library, BUDGET
        self.issues: list[Issue] = []
        self.profile: Profile | None = None
        self.env = {"resolve": self.resolve, "conformsTo": self.conforms}
        self._answers: dict[tuple[int, str], bool] = {}
        self._entries: dict[str, dict] | None = None

    def tell(self, node: Node, code: str, text: str, severity: str = "error", name: str = "") -> None:
        self.issues.append(Issue(severity, code, f"{text}. ({self.profile.url})" if self.profile else f"{text}.", f"{node.path}.{name}" if name else node.path))

    # FHIRPath

    def evaluation(self, node: Node, env: dict | None = None) -> Evaluation:
        return Evaluation(node, {**self.env, **env} if env else self.env, self.left)

    def find(self, expression: Expression, node: Node, env: dict | None = None) -> list[Node]:
        evaluation = self.evaluation(node, env)
        found = expression.run(evaluation)
        self.left = evaluation.budget - 1
        return found

    def ask(self, text: str, node: Node, what: str, **env) -> list[Node] | None:
        """What an expression finds; that it cannot be judged is told as a warning, and is None."""
        try:
            return self.find(compile(text), node, env)
        except BadExpression as error:
            self.tell(node, "exception", f"{what} could not be judged: {error}", "warning")
            return None

    def breaks(self, text: str, node: Node, what: str, **env) -> bool:
        """An expression says no."""
        found = self.ask(text, node, what, **env)
        return bool(found) and len(found) == 1 and found[0].value is False

    def resolve(self, text: str) -> tuple[str, dict] | None:
        """What a reference leads to within the bundle that is judged."""
        if self._entries is None:
            entries = self.root.value.get("entry") if self.root.type == "Bundle" else ()
            held = [(e.get("fullUrl"), e["resource"]) for e in entries or () if isinstance(e, dict) and isinstance(e.get("resource"), dict)]
            self._entries = {f"{r.get('resourceType')}/{r.get('id')}": r for _, r in held} | {url: r for url, r in held if isinstance(url, str)}
        found = self._entries.get(text)
        return (found["resourceType"], found) if found is not None and isinstance(found.get("resourceType"), str) else None

    def target(self, node: Node) -> Node | None:
        """What a Reference leads to, if it stands in the same resource or bundle."""
        found = resolve(self.evaluation(node), [node])
        return found[0] if found and found[0].value is not None else None

    # judging

    def claim(self, node: Node, url: str) -> None:
        """A resource by a profile that it claims, which may be unknown, or R4's own type."""
        profile = self.library.profile(url)
        if profile is not None:
            self.judge(node, profile)
        elif (type := self.library.type(url)) is None:
            self.tell(node, "not-found", f"The profile {url} is not known here; it was not judged by it", "warning", "meta.profile")
        elif not is_a(node.type, type):
            self.tell(node, "structure", f"It is a {node.type}, not a {type} as {url} says")

    def judge(self, node: Node, profile: Profile) -> None:
        before, self.profile = self.profile, profile
        if not is_a(node.type, profile.type):
            self.tell(node, "structure", f"It is a {node.type}; the profile is one of {profile.type}")
        else:
            if profile.gap:
                self.tell(node, "not-found", f"The profile is derived from {profile.gap}, which is not known here; it was not judged by that", "warning")
            _part(node, profile.root, self)
        self.profile = before

    def conforms(self, node: Node, url: str) -> bool | None:
        """Nothing is wrong with it by a profile, or it is of the type; None for an unknown one. What is asked again while it is being answered is so."""
        profile = self.library.profile(url)
        if profile is None:
            return is_a(node.type, type) if (type := self.library.type(url)) else None
        key = (id(node.value), url)
        if key not in self._answers:
            self._answers[key], told = True, len(self.issues)
            self.judge(node, profile)
            self._answers[key] = not any(issue.severity == "error" for issue in self.issues[told:])
            del self.issues[told:]
        return self._answers[key]

    def held(self, node: Node, urls: list[str]) -> None:
        """It is as one of the profiles says; what is wrong by the only one is told."""
        profiles = [self.library.profile(url) for url in urls]
        if None in profiles:
            return
        if len(profiles) == 1:
            self.judge(node, profiles[0])
        elif not any(self.conforms(node, url) for url in urls):
            self.tell(node, "structure", f"{node.name} is as none of {', '.join(urls)} says")


def _plan(part: Part) -> tuple[tuple, tuple]:
    """(checks, [(name, Part)] of those children of which something is asked) of a part, compiled once."""
    if part.plan is None:
        whole = checks(part), tuple(part.children.items())
        part.plan = whole  # of an element within itself, something may be asked
        part.plan = whole[0], tuple((name, child) for name, child in whole[1] if child.low or child.high is not None or child.slices or any(_plan(child)))
    return part.plan


def _part(node: Node, part: Part, run: Run) -> None:
    """One element by what is said of it and of what is below."""
    run.left -= 1
    if run.left < 0:
        raise TooCostly("The profile takes too much work")
    asked, below = part.plan or _plan(part)
    for check in asked:
        check(node, run)
    for name, child in below:
        found = member([node], name)
        if found or child.low:
            _count(found, child, child.low, node, run)
        if found or child.slices:
            _members(found, child, node, run)


def _members(nodes: list[Node], part: Part, parent: Node, run: Run) -> None:
    for node in nodes:
        _part(node, part, run)
    if part.slices:
        _sliced(nodes, part, parent, run)


def _count(found: list[Node], part: Part, low: int, parent: Node, run: Run) -> None:
    high, label = part.high, part.label.rpartition(".")[2]
    if len(found) < low:
        run.tell(parent, "required", f"{label} is {'missing' if not found else f'there {len(found)} times'}; there must be {'at least ' if high != low else ''}{low}", name=part.name)
    elif high is not None and len(found) > high:
        run.tell(parent, "structure", f"{label} must not be there" if high == 0 else f"{label} may be there {high} times, not {len(found)}", name=part.name)


def _sliced(nodes: list[Node], part: Part, parent: Node, run: Run) -> None:
    slicing, choices = part.slicing, picks(part, run.profile.library)
    of: list[list[Node]] = [[] for _ in choices]
    rest, doubtful, last = [], False, -1
    for node in nodes:
        answers = [pick(node, run) for _, pick in choices]
        place = answers.index(True) if True in answers else None
        if None in answers and place is None:
            doubtful = True
            run.tell(node, "incomplete", f"It could not be told to which slice of {part.label} it belongs", "information")
            continue
        if place is None:
            rest.append(node)
            continue
        of[place].append(node)
        label = choices[place][0].label.rpartition(".")[2]
        if slicing.get("ordered") and place < last:
            run.tell(node, "structure", f"{label} must stand before {choices[last][0].label.rpartition('.')[2]}")
        if slicing["rules"] == "openAtEnd" and rest:
            run.tell(node, "structure", f"{label} must stand before what belongs to no slice")
        last = max(last, place)
    for (slice, _), found in zip(choices, of):
        _count(found, slice, 0 if doubtful else slice.low, parent, run)
        _members(found, slice, parent, run)
    if DEFAULT in part.slices:
        _count(rest, part.slices[DEFAULT], part.slices[DEFAULT].low, parent, run)
        _members(rest, part.slices[DEFAULT], parent, run)
    elif slicing["rules"] == "closed":
        for node in rest:
            run.tell(node, "structure", f"It belongs to no slice of {part.label}, and no others may be there: {', '.join(slice.label.rpartition(':')[2] for slice, _ in choices)}")
