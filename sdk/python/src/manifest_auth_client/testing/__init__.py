"""For the tests of applications: :class:`FakeManifestAuth` stands in for the server, in memory and in this process."""

from manifest_auth_client.testing._apps import FakeApp
from manifest_auth_client.testing._fake import FakeManifestAuth
from manifest_auth_client.testing._state import FakeService, FakeUser

__all__ = ["FakeApp", "FakeManifestAuth", "FakeService", "FakeUser"]
