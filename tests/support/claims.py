"""A client whose claim counts, for tests that are about what comes after."""

from __future__ import annotations

from tests.support.house import App

REASON = "known to the tests as this client's own"


async def directory_counts(app: App, client: str, directory: str) -> None:
    """A system admin vouches for the client's claim on a Microsoft directory; where another client holds the directory,
    it is granted to this one as well."""
    token, body = await app.admin_token(), {"reason": REASON}
    path = f"/api/admin/clients/{client}/directories/{directory}/vouch"
    reply = await app.post(path, body, token=token)
    if reply.status == 409:
        path = f"/api/admin/directories/{directory}/clients/{client}"
        reply = await app.send("PUT", path, body, token=token)
    assert reply.status == 200, reply.text


async def directory_released(app: App, client: str, directory: str) -> None:
    """The client claims the directory no more."""
    path = f"/api/admin/clients/{client}/directories/{directory}"
    await app.send("DELETE", path, token=await app.admin_token())


async def pin(app: App, name: str, client: str) -> None:
    """A system admin says that a provider's name means this client's for those who name no client."""
    path = f"/api/admin/provider-names/{name}"
    reply = await app.send("PUT", path, {"client": client}, token=await app.admin_token())
    assert reply.status == 200, reply.text
