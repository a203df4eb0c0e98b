"""Calls to identity providers, the only outgoing HTTP calls of the server.

Owns the connections; returns bytes.

Addresses come from the settings of clients, so they are not trusted (OWASP, server-side request forgery). Never follows
a redirect, keeps no cookie, reads no proxy from the environment, and does not interpret responses.

Every call names its client (:class:`Deadline`) and uses that client's share of DNS lookups, connections and calls to
one host.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_plus, urlencode
from weakref import WeakValueDictionary

import msgspec

from manifest_auth.runtime import tracing
from manifest_auth.runtime.metrics import Call, CallResult, Metrics
from manifest_auth.runtime.outgoing_guard import (
    NotPublic,
    Reply,
    Resolve,
    Resolver,
    Shares,
    Target,
    TooManyCalls,
    Unreachable,
    literal_refusal,
    refusal,
    split,
    system,
)
from manifest_auth.runtime.settings import Settings
from manifest_auth.text.languages import marked as _

if TYPE_CHECKING:
    from manifest_auth.runtime.outgoing_transport import Transport


MOST_AT_ONCE = 6  # calls of a client to one host, since a hanging provider must not use up the client's share
#: Simultaneous calls: guaranteed for a client, maximum for a client, and total above which a client has only its
#: guaranteed number.
OWN, MOST, COMMON = 2, 8, 64
#: How long a call waits for its turn, as a share of the time for all calls of a sign-in. Of many simultaneous sign-ins,
#: most get a turn, and if a provider hangs, the others are soon rejected.
TURN = 0.2
_USUAL = {"User-Agent": "manifest-auth", "Accept": "application/json", "Accept-Encoding": "identity"}


class Deadline(NamedTuple):
    """The client for which calls are made, and when they must be complete, in the event loop's time."""

    tenant_id: int
    at: float

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.at - asyncio.get_running_loop().time()


class Outgoing:
    """The outgoing calls of one process. Loads and opens nothing before the first call."""

    def __init__(self, settings: Settings, metrics: Metrics | None = None, resolve: Resolve = system) -> None:
        self.seconds, self._private = settings.provider_timeout, settings.private_targets
        self._traced = settings.traced_hosts
        self.metrics, self._resolver = metrics or Metrics(), Resolver(resolve)
        self._transport: Transport | None = None
        self._shares = Shares(OWN, MOST, COMMON)
        self._host_limits: WeakValueDictionary[tuple[int, str], asyncio.Semaphore] = WeakValueDictionary()

    def deadline(self, tenant_id: int) -> Deadline:
        """Returns the deadline for calls that start now for a client; together, they have the time budget of one
        sign-in. They count against the client's own share, so slow providers do not delay other clients."""
        return Deadline(tenant_id, asyncio.get_running_loop().time() + self.seconds)

    def check(self, url: str) -> None:
        """Checks an address. Raises ValueError if it can never be called, with a message for the user who configures
        it."""
        if why := literal_refusal(split(url).host, self._private):
            raise ValueError(_("can't be called: %(why)s", why=why))

    async def get(
        self, url: str, *, deadline: Deadline, headers: Mapping[str, str] | None = None, call: Call = "other"
    ) -> Reply:
        """Returns the response, with any status except a redirect.

        Raises Unreachable, also for an address that must not be called.
        """
        return await self._ask("GET", url, headers or {}, None, deadline, call)

    async def get_with_redirects(self, url: str, *, deadline: Deadline, call: Call = "other") -> Reply:
        """Returns the response like :meth:`get`, including redirects. They are not followed."""
        return await self._ask("GET", url, {}, None, deadline, call, redirects=True)

    async def post_form(
        self,
        url: str,
        fields: Mapping[str, str],
        *,
        deadline: Deadline,
        basic: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        call: Call = "other",
    ) -> Reply:
        """Posts a form; otherwise like :meth:`get`. ``basic``: client ID and secret for ``client_secret_basic``. Never
        retried."""
        sent = {**(headers or {}), "Content-Type": "application/x-www-form-urlencoded"}
        if basic is not None:  # RFC 6749, section 2.3.1: both are form-encoded before they are joined
            pair = ":".join(quote_plus(part) for part in basic)
            sent["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return await self._ask("POST", url, sent, urlencode(fields).encode(), deadline, call)

    async def close(self) -> None:
        """Closes all connections. No calls are possible afterward."""
        if self._transport is not None:
            await self._transport.close()
        self._resolver.close()

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: Deadline,
        call: Call,
        redirects: bool = False,
    ) -> Reply:
        result: CallResult = "unreachable"
        began = time.perf_counter()
        with tracing.span(f"provider.{call}"):
            try:
                reply = await self._limited(method, url, headers, body, deadline, redirects)
                result = "ok" if reply.status < 300 else "refused"
            finally:
                self.metrics.called(call, result, time.perf_counter() - began)
                tracing.note("manifest.call.result", result)
        return reply

    async def _limited(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, deadline: Deadline, redirects: bool
    ) -> Reply:
        try:
            target = split(url)
        except ValueError as error:
            raise Unreachable(_("the address %(error)s", error=error.args[0])) from None
        client = deadline.tenant_id
        host_limit = self._host_limits.setdefault((client, target.authority), asyncio.Semaphore(MOST_AT_ONCE))
        sent = {"Host": target.authority, **_USUAL, **headers}
        if target.host in self._traced and (trace := tracing.CURRENT.get()) is not None:
            sent["traceparent"] = trace.header
        try:
            async with asyncio.timeout_at(deadline.at), contextlib.AsyncExitStack() as held:
                try:
                    async with asyncio.timeout(TURN * self.seconds):
                        await held.enter_async_context(host_limit)
                        await held.enter_async_context(self._shares.slot(client))
                except TimeoutError:
                    raise TooManyCalls(_("too many calls are in progress")) from None
                return await self._open().exchange(client, method, target, sent, body, deadline.left, redirects)
        except TimeoutError:
            raise Unreachable(_("%(host)s: no response in time", host=target.authority)) from None
        except NotPublic as error:
            raise NotPublic(_named(target, error), target.authority) from None
        except Unreachable as error:
            raise type(error)(_named(target, error)) from None

    def _open(self) -> Transport:
        if self._transport is None:
            from manifest_auth.runtime.outgoing_transport import Transport

            self._transport = Transport(self._resolver, lambda host, address: refusal(host, address, self._private))
        return self._transport


def _named(target: Target, error: Unreachable) -> str:
    return _("%(address)s: %(error)s", address=target.authority, error=error.args[0])


# Calls for users who configure addresses but must not explore private networks with them: a User Admin on premises.


class NoPublicAddress(Exception):
    """The host has no public address, or no address. It was not called."""

    def __init__(self, host: str) -> None:
        super().__init__(_("%(host)s has no public address", host=host))


class LimitedOutgoing(Outgoing):
    """Calls like those of ``inner``, but only to public addresses. All others are never called and raise
    :class:`NoPublicAddress`, so a caller learns nothing about them, not even from timing.

    It has its own connections, which reach only public addresses, so a name that resolves to a private address at the
    second lookup reveals nothing either.
    """

    def __init__(self, settings: Settings, inner: Outgoing, resolve: Resolve = system) -> None:
        super().__init__(msgspec.structs.replace(settings, outgoing_private="off"), inner.metrics, resolve)
        self._inner = inner

    def check(self, url: str) -> None:
        self._inner.check(url)

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: Deadline,
        call: Call,
        redirects: bool = False,
    ) -> Reply:
        try:
            return await super()._ask(method, url, headers, body, deadline, call, redirects)
        except NotPublic as error:
            raise NoPublicAddress(error.host) from None
