"""A search parameter of one type, as rows and tests need it. https://hl7.org/fhir/R4/searchparameter.html"""
from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Param(NamedTuple):
    """name: of its rows, `Type.code`, with `/n` for the n-th component of a composite. type: token, string, date, ...

    kinds: FHIR data types of the elements that it reads. targets: types that a reference may point to, in the alphabet's order.
    components: of a composite, in order; of: the parameters whose elements together are its own (`code` and `component-code` of
    `combo-code`): it has no rows but theirs. url: its canonical url.
    """

    name: str
    code: str
    type: str
    kinds: frozenset[str] = frozenset()
    targets: tuple[str, ...] = ()
    components: tuple["Param", ...] = ()
    url: str = ""
    of: tuple["Param", ...] = ()

    @property
    def canonical(self) -> bool:
        """Whether it holds canonical urls alone, which name no resource by its id."""
        return bool(self.kinds) and self.kinds <= {"canonical", "uri", "url"}

    @property
    def inner(self) -> bool:
        """Whether it finds resources within the resource, which are not those of the server that have the same id."""
        return self.kinds == {"Resource"}


class Defined(NamedTuple):
    """A parameter of a store's own on one type. definition: its Parameter of app.fhir.definitions; ready: all resources have its rows; since: microseconds."""

    param: Param
    definition: object
    ready: bool
    since: int


Own = Mapping[str, Mapping[str, Defined]]
"""Type -> code -> a parameter of a store's own."""
NOTHING: Own = MappingProxyType({})
