"""Pages on which a person approves a device."""
