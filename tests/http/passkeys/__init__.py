"""Passkeys of users, over HTTP: made, used, managed, and refused where anything is wrong."""
