"""sign_in/providers."""
