"""Patches: a resource and a list of changes give another resource; the input is never changed. http://hl7.org/fhir/R4/http.html#patch"""
from app.fhir.patch.parameters import fhirpath_patch
from app.fhir.patch.pointer import json_patch

__all__ = ["fhirpath_patch", "json_patch"]
