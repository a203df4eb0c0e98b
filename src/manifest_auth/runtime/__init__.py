"""What any server's process needs: settings, clock and randomness, logs, metrics, mail, files, sealing, hashing, calls.

Never knows users, roles or the store.
"""
