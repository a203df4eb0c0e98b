"""The offline bundle: its bytes, what rejects it, and what it installs on a machine that reaches no other."""
