"""``manifest-auth doctor``: one module for each thing that is looked at; :mod:`.run` asks them all. Changes nothing."""

from manifest_auth.operations.doctor.run import Finding, examine

__all__ = ["Finding", "examine"]
