"""The package as installed by pip, pipx, and uvx."""
