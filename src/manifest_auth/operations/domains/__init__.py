"""operations/domains."""
