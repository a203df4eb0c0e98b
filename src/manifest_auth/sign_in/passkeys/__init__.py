"""Passkeys of users (WebAuthn Level 3): registered, asked for, and verified against what is stored."""
