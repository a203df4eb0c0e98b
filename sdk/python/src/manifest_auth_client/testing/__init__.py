"""For application tests: :class:`FakeManifestAuth` replaces the server, in memory and in the same process."""

from manifest_auth_client.testing._apps import FakeApp
from manifest_auth_client.testing._fake import FakeManifestAuth
from manifest_auth_client.testing._state import FakeService, FakeUser

__all__ = ["FakeApp", "FakeManifestAuth", "FakeService", "FakeUser"]
