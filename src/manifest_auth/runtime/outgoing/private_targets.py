"""Calls for users who configure addresses but must not explore private networks with them: a User Admin on premise."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from manifest_auth.runtime.metrics import Call
from manifest_auth.runtime.outgoing.client import Deadline, Outgoing
from manifest_auth.runtime.outgoing.dns import Resolve, system
from manifest_auth.runtime.outgoing.response import NotPublic, Reply, Unreachable
from manifest_auth.runtime.settings import Settings


class DetailsWithheld(Exception):
    """The address is not public. Only ``reached``, whether a server answered, is revealed."""

    def __init__(self, host: str, reached: bool) -> None:
        super().__init__(f"{host}: {'reached' if reached else 'not reached'}")
        self.reached = reached


class LimitedOutgoing(Outgoing):
    """As ``inner`` for public addresses. For private addresses every call raises :class:`DetailsWithheld`: a caller
    cannot distinguish a status, a redirect, a broken answer and a refused connection.

    Public addresses are called through separate connections that reach public addresses only, so a name that resolves
    to a private address at the second lookup reveals nothing either.
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
            await self._inner.get_with_redirects(url, deadline=deadline, call=call)
        except Unreachable:
            raise DetailsWithheld(host, reached=False) from None
        raise DetailsWithheld(host, reached=True)
