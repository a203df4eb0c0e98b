"""Operations on the installation: backup, restore, doctor, re-encryption, background jobs, deletion, demo data.

Owns archives and the schedule of background jobs. Never answers a request: routes and commands call it.
"""
