"""The sharing rules. A rule is a saved search: for a caller it gives a clause on entries, or None where it says nothing.

What any of ALLOWS gives, intersected with all of LIMITS, is what a caller may see. To add a rule: one function, one line in a table.
"""
from __future__ import annotations

from app.caller import Caller
from app.search.query import ALL, NOW, And, Clause, Compare, Granted, Link, Not, Or, Stamp, both, either

DIRECTORY = ("Organization", "OrganizationAffiliation", "Location", "HealthcareService", "Practitioner", "PractitionerRole", "Endpoint", "Schedule", "Slot",
             "CodeSystem", "ValueSet", "ConceptMap", "NamingSystem", "StructureDefinition", "SearchParameter", "OperationDefinition", "CapabilityStatement",
             "CompartmentDefinition", "ImplementationGuide", "StructureMap", "GraphDefinition", "MessageDefinition", "TerminologyCapabilities", "ExampleScenario")
"""What an alliance publishes to its members: the registry, and definitions."""
GUARD = "{}._guard"
"""Parameter of the index row, by type, that names the resource as which an entry is decided."""
GUARDED = ("Binary", "Provenance")
"""Types whose entries may name one."""


def operator(caller: Caller) -> Clause | None:
    """The operator of an open store sees all."""
    return ALL if caller.operator else None


def custodian(caller: Caller) -> Clause:
    """An organisation sees what it answers for."""
    return Stamp((Compare("custodian", "eq", caller.organization),))


def directory(caller: Caller) -> Clause:
    """Every member reads what is published."""
    return published()


def published() -> Clause:
    """The alliance's registry and its definitions, what concerns no patient: not whose Schedule it is, say, nor a purged version that concerned one."""
    return And((Stamp((Compare("type", "in", DIRECTORY), Compare("guard", "eq", ""), Compare("many", "eq", 0))), Not(Stamp((Compare("about", "some"),)))))


def granted(caller: Caller) -> Clause:
    """A fact in force grants it: to this organisation, for the patient, resource or custodian that the fact names.

    What concerns several patients is not opened by a fact for one of them.
    """
    return And((Stamp((Compare("many", "eq", 0), Compare("guard", "eq", ""))), _facts("allow", caller)))


def guarded(caller: Caller) -> Clause:
    """An entry with a guard is decided as the resource that it names, unless it concerns several patients; one that names none is for its custodian only."""
    there = both(either(custodian(caller), directory(caller), granted(caller)), _undenied(caller))
    return both(Stamp((Compare("many", "eq", 0),)), either(*(Link(GUARD.format(type), (), there) for type in GUARDED)))


def denied(caller: Caller) -> Clause | None:
    """A denial in force takes away what others gave; not from the custodian itself."""
    return None if caller.operator else _undenied(caller)


def _undenied(caller: Caller) -> Clause:
    return Or((custodian(caller), Not(Or((_facts("deny", caller), _facts("deny", None))))))


def _facts(effect: str, caller: Caller | None) -> Clause:
    """Facts for this caller's organisation, or without one those for all, whose time is now."""
    grantee = Compare("grantee", "eq", caller.organization) if caller else Compare("grantee", "none")
    compares = (Compare("effect", "eq", effect), grantee, Compare("low", "le", NOW), Compare("high", "gt", NOW))
    return Granted(compares, (("patient", "about"), ("resource", "ref"), ("custodian", "custodian")))


ALLOWS = {"operator": operator, "custodian": custodian, "directory": directory, "granted": granted, "guarded": guarded}
LIMITS = {"denied": denied}
