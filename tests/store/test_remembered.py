"""Announcements clear a process's caches; everything that lives as long as the process is listed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from manifest_auth.services import Services
from manifest_auth.store import RESET, Announcement
from tests.support.application import App
from tests.support.stores import until

#: The announcements that clear a service's cache, besides a reset.
REMEMBER = {
    "principals": ("session", "user", "tenant", "installation keys"),
    "keys": ("installation keys",),
    "admin_networks": ("installation admin_addresses",),
    "origin_index": ("installation origins",),
    "licence": ("installation licence",),  # at most a second old anyway
}
#: Services that cache nothing from the database, or only together with one of those above.
NOT_OF_THE_STORE = {
    "settings", "clock", "random", "log", "metrics", "store", "sealer", "hasher", "tokens", "outgoing", "oidc",
    "microsoft", "saml_thread", "files", "file_outages", "mail", "mail_queue", "throttle", "anonymous_limits",
    "wrong_secrets", "scim_bursts", "seats", "domain_records", "refusals", "started_at", "jobs_failed_at", "draining",
    "recorder", "verified", "service_tokens",  # with the generation of `keys`
    "entra",  # each result is compared with that of `principals`
}  # fmt: skip


def test_everything_that_lives_as_long_as_a_process_is_listed() -> None:
    assert {field.name for field in fields(Services)} == NOT_OF_THE_STORE | set(REMEMBER)


async def test_what_remembers_hears_announcements(app: App) -> None:
    services = app.services
    heard_by = [getattr(listener, "__self__", None) for listener in services.store._listeners]
    remembering = {id(each) for each in heard_by if each is not None}  # a function has no cache
    assert remembering == {id(getattr(services, name)) for name in REMEMBER}


async def test_each_kind_drops_what_is_listed_and_leaves_the_rest(app: App) -> None:
    services = app.services
    token = (await app.sign_in("author@acme.example")).data["token"]
    await until(lambda: services.store.version() is not None)
    await app.get("/api/client/auth/me", token=token)
    [principal] = services.principals._by_id.values()
    keys = {"session": principal.session_id, "user": str(principal.user_id), "tenant": str(principal.tenant_id)}

    async def dropped(announcement: Announcement) -> set[str]:
        await app.get("/api/client/auth/me", token=token)  # fills all caches
        await services.origin_index.is_listed("https://a.example", None)
        await services.admin_networks.allows("192.0.2.1")
        services.licence._known = (0, await services.licence.status())
        assert services.principals._by_id
        services.store._deliver([announcement])
        found = {
            "principals": not services.principals._by_id,
            "keys": services.keys.is_stale,
            "admin_networks": services.admin_networks._set is None,
            "origin_index": services.origin_index._version is None,
            "licence": services.licence._known is None,
        }
        await services.keys.refresh()
        return {name for name, is_dropped in found.items() if is_dropped}

    for kind in {kind for kinds in REMEMBER.values() for kind in kinds}:
        word, _, key = kind.partition(" ")
        expected = {name for name, kinds in REMEMBER.items() if kind in kinds}
        assert await dropped(Announcement(word, key or keys[word])) == expected, kind
    assert await dropped(RESET) == set(REMEMBER)
    assert await dropped(Announcement("session", "another")) == set()


async def test_keys_that_were_read_while_a_change_was_announced_are_read_again(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, store = app.services.keys, app.services.store
    await keys.refresh()
    assert not keys.is_stale
    real = store.read

    async def overtaken(work: Any) -> Any:
        found = await real(work)
        store._deliver([Announcement("installation", "keys")])
        return found

    monkeypatch.setattr(store, "read", overtaken)
    await keys.refresh()
    assert keys.is_stale
    monkeypatch.undo()
    await keys.refresh()
    assert not keys.is_stale
