"""The docs as a site: what it answers, what it loads, and how the server serves it."""
