"""Passkeys of users, over HTTP: made, used, managed, and rejected where anything is wrong."""
