"""Maintenance of the installation: startup, backup, restore, doctor, re-encryption, sweeps, upgrades, demo data.

Owns archives and the schedule of background jobs. Never handles a request: routes and commands call it.
"""
