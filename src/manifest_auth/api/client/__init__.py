"""api/client."""
