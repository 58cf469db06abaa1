"""The FHIR door: HTTP in, FHIR out."""
