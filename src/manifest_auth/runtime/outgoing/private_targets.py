"""Calls for those who name an address but may not look around in private networks with it: a User Admin on premise."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from manifest_auth.runtime.metrics import Call
from manifest_auth.runtime.outgoing.client import Deadline, Outgoing
from manifest_auth.runtime.outgoing.dns import Resolve, system
from manifest_auth.runtime.outgoing.response import NotPublic, Reply, Unreachable
from manifest_auth.runtime.settings import Settings


class Withheld(Exception):
    """The address is not public. Whether a server answered there is all that is told."""

    def __init__(self, host: str, reached: bool) -> None:
        super().__init__(f"{host}: {'reached' if reached else 'not reached'}")
        self.reached = reached


class Discreet(Outgoing):
    """As ``inner`` for public addresses. For all others every call raises :class:`Withheld`: a status, a redirect, a
    broken answer and a refused connection there cannot be told apart, since no caller ever sees them.

    Public addresses are called by connections of its own that lead nowhere else, so a name that leads elsewhere at the
    second look-up tells nothing either.
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
            host = error.host
        try:
            await self._inner.look(url, deadline=deadline, call=call)
        except Unreachable:
            raise Withheld(host, reached=False) from None
        raise Withheld(host, reached=True)
