"""Alembic's folder: its environment and the revisions of the schema. Loaded where the schema is not up to date."""
