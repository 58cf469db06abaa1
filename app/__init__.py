"""Yilian: a FHIR R4 server for medical alliances."""
