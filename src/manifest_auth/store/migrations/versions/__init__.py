"""One module for each revision of the schema.

A released revision never changes, and imports no code that can change.
"""
