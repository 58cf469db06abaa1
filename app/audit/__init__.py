"""Who did: access records, their journal, and the AuditEvents they render to."""
