"""Alembic's environment and the revisions of the schema.

Imported only where the schema is not up to date.
"""
