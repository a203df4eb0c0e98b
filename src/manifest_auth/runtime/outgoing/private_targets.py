"""Calls for users who configure addresses but must not explore private networks with them: a User Admin on premise."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from manifest_auth.runtime.metrics import Call
from manifest_auth.runtime.outgoing.client import Deadline, Outgoing
from manifest_auth.runtime.outgoing.dns import Resolve, system
from manifest_auth.runtime.outgoing.response import NotPublic, Reply
from manifest_auth.runtime.settings import Settings


class NoPublicAddress(Exception):
    """The host has no public address, or none at all. It was not called."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} has no public address")


class LimitedOutgoing(Outgoing):
    """As ``inner`` for public addresses. All others are never called, so a caller learns nothing of them, not even by
    the time that it takes: every call raises :class:`NoPublicAddress`.

    Its connections are its own and reach public addresses only, so a name that resolves to a private address at the
    second lookup reveals nothing either.
    """

    def __init__(self, settings: Settings, inner: Outgoing, resolve: Resolve = system) -> None:
        super().__init__(msgspec.structs.replace(settings, outgoing_private="off"), inner.metrics, resolve)
        self._inner = inner

    def check(self, url: str) -> None:
        self._inner.check(url)

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, deadline: Deadline, call: Call,
        redirects: bool = False,
    ) -> Reply:  # fmt: skip
        try:
            return await super()._ask(method, url, headers, body, deadline, call, redirects)
        except NotPublic as error:
            raise NoPublicAddress(error.host) from None
