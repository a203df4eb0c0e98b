"""Passkeys of users (WebAuthn Level 3): register, request, and verify them against the stored ones."""
