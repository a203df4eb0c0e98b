"""Maintenance of the installation: backup, restore, doctor, re-encryption, sweeps, state of upgrades, demo data.

Owns archives and the schedule of background jobs. Never answers a request: routes and commands call it.
"""
