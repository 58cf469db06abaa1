"""Legacy records to FHIR resources, by mapping files."""
