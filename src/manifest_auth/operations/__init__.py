"""For those who run the server: backup, restore, doctor, re-encryption, background jobs, deletion, demo data.

Owns archives and the order of background jobs. Never answers a request: routes and commands call it.
"""
