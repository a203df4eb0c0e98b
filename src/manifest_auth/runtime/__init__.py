"""Infrastructure of a server process: settings, clock, randomness, logs, metrics, mail, files, sealing, hashing, calls.

Knows neither users nor roles nor the store.
"""
