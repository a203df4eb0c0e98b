"""The offline bundle: its contents, invalid bundles, and its installation on a machine without a network."""
