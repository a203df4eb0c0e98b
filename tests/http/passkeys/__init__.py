"""Users' passkeys over HTTP: created, used, managed, and rejected if anything is wrong."""
