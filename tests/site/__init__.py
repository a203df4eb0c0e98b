"""The docs site: its search, the resources it loads, and how the server serves it."""
