"""Pages with which a person lets a device in."""
