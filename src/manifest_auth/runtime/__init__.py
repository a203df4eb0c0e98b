"""Infrastructure of a server process: settings, clock, randomness, logs, metrics, mail, files, sealing, hashing, calls.

Knows neither users nor roles; of the database it knows only the names of its schemas.
"""
