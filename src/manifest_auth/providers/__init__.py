"""Identity providers of a tenant."""
