"""The package as pip, pipx and uvx install it."""
