"""Our figures beside this machine's limits, measured in the same run. See README.md. Not part of the package."""
