"""Machine access to the API with service accounts, API keys, and client secrets."""
