"""The offline bundle: its bytes, what refuses it, and what it installs on a machine that reaches no other."""
