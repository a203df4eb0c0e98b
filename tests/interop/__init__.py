"""Sign-in through third-party identity providers, each a real server installed by its package name."""
