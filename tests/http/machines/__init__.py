"""Machines that call the API: service accounts, API keys, client secrets."""
