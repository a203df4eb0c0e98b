"""What a kind of identity provider consists of. To add one: a module with a :class:`Kind` in it, its line in
:mod:`.kinds`, and a page in ``docs/providers``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, Union, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import KindSettings, Provider, Secrets
from manifest_auth.providers.sign_in_flows import Begun, Flow
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.services import RequestContext, Services
from manifest_auth.sign_in.completion import Browser
from manifest_auth.sign_in.providers.flow import Chosen, Outcome
from manifest_auth.sign_in.sign_in_metrics import begun, counted

S = TypeVar("S", bound=KindSettings)
R = TypeVar("R")
CookieOf = Callable[[str], "str | None"]  # from a cookie's name to its value
_SECRET = Annotated[str, Meta(max_length=2000, description="Kept encrypted, never shown; `null` takes it away.")] | None


class OurselvesData(msgspec.Struct, frozen=True, rename="camel"):
    """What to type in at the provider."""

    callback_url: str | UnsetType = UNSET
    shared_callback_url: (
        Annotated[
            str, Meta(description="In place of `callbackUrl` while the provider, being marked for it, announces `iss`.")
        ]
        | UnsetType
    ) = UNSET
    entity_id: str | UnsetType = UNSET
    acs_url: str | UnsetType = UNSET
    metadata_url: str | UnsetType = UNSET
    certificates: tuple[str, ...] | UnsetType = UNSET


class CertificateData(msgspec.Struct, frozen=True, rename="camel"):
    """A pinned certificate, for people to read."""

    subject: str
    not_before: str
    not_after: str
    fingerprint: str


class Callback(NamedTuple):
    """A path that providers of a kind send browsers back to. It may hold ``{client}`` and ``{provider}``."""

    path: str
    summary: str


class CallbackState(NamedTuple):
    """Where a provider sends browsers back to, and whether that is registered there. ``act``: what the client must do,
    or empty."""

    address: str
    state: str
    act: str = ""


class Reason(NamedTuple):
    """Why a sign-in was refused. ``why``: how the reason begins, one or several; special ones before those that they
    fall under."""

    why: tuple[str, ...]
    cause: str
    cure: str


class Beginning(NamedTuple):
    """How a sign-in goes on: at an address, or where the browser can show one, with a page and its content security
    policy."""

    begun: Begun
    address: str
    page: tuple[bytes, str] | None = None


def optional(model: type[msgspec.Struct], name: str, **others: Any) -> type[msgspec.Struct]:
    """The model with every member optional; ``others`` replace or add members."""
    members = {field: get_type_hints(model, include_extras=True)[field] for field in model.__struct_fields__} | others
    fields = [(field, Union[kind, UnsetType], UNSET) for field, kind in members.items()]  # noqa: UP007 - kinds are values
    return msgspec.defstruct(name, fields, rename="camel", frozen=True, kw_only=True, module=__name__)


class Kind(ABC, Generic[S, R]):
    """One kind. ``S``: its settings; ``R``: what a browser brings back from the provider.

    ``start``: the path where people begin, empty where no one signs in at the provider; ``summary``: of that route;
    ``usual_name``: the provider that is meant where a start names neither client nor provider; ``callbacks``: where
    browsers come back to with ``state`` and ``code``; ``cross_site``: they come back by a form of the provider's page,
    so that the cookie must come with that; ``members``: of a body, beside the settings or in place of some;
    ``reasons``: those that it alone gives, beside the list in :mod:`..reasons`.
    """

    settings: type[S]
    start = ""
    summary = ""
    usual_name: str | None = None
    callbacks: tuple[Callback, ...] = ()
    cross_site = False
    reasons: tuple[Reason, ...] = ()
    members: Mapping[str, Any] = {"client_secret": _SECRET}

    @property
    def name(self) -> str:
        """In the store, on the wire, as label of metrics, and as a session's method."""
        return self.settings.kind

    def body(self) -> type[msgspec.Struct]:
        """The wire model of what a body settles."""
        return optional(self.settings, f"{self.settings.__name__.removesuffix('Settings')}Change", **self.members)

    def read(self, members: dict[str, Any]) -> dict[str, Any]:
        """The members to store of those that a body gives. Raises ValidationError."""
        return members

    def check_here(self, services: Services, own: S) -> None:
        """Refuses addresses that this installation never calls, or sends no browser to. Raises ValidationError."""

    async def new_key(self, ctx: RequestContext, name: str) -> tuple[str, str] | None:
        """A key and a certificate of our own for a new provider, PEM and base64, where the kind has such."""
        return None

    def certificates(self, own: S) -> tuple[CertificateData, ...]:
        """The certificates that are pinned."""
        return ()

    def addresses(self, ctx: RequestContext, client: str, name: str) -> OurselvesData:
        """What to type in at a provider of that name, known before it is made here. ``client``: identifier of its
        client."""
        return OurselvesData()

    def ourselves(self, ctx: RequestContext, client: str, provider: Provider, secrets: Secrets) -> OurselvesData:
        """What to type in at a provider that is made."""
        return self.addresses(ctx, client, provider.name)

    async def callback_state(self, ctx: RequestContext, client: str, provider: Provider) -> CallbackState:
        """What ``provider callbacks`` prints of one."""
        ours = self.ourselves(ctx, client, provider, Secrets())
        address = ours.callback_url or ours.acs_url
        return CallbackState(address, "of its own kind") if address else CallbackState("-", "needs none")

    @abstractmethod
    def diagnose(
        self, ctx: RequestContext, client: str, provider: Provider, outgoing: Outgoing
    ) -> AsyncIterator[Finding]:
        """What is right and wrong with a provider. ``outgoing``: shows the one who asks no more than they may see."""

    async def begin(self, ctx: RequestContext, chosen: Chosen, login_hint: str) -> Beginning:
        """Where the browser goes on. Raises ProviderUnavailable, SsoFailed, RateLimited, and Conflict where an identity
        cannot be linked so."""
        return await counted(ctx, self.name, self._begin(ctx, chosen, login_hint), begun)

    async def end(
        self, ctx: RequestContext, returned: R, cookie_of: CookieOf, browser: Browser
    ) -> tuple[Flow | None, Outcome]:
        """Judges what came back. Raises SsoFailed, AccountDisabled, ProviderUnavailable, and what the kind adds."""
        ending = self._end(ctx, returned, cookie_of, browser)
        return await counted(ctx, self.name, ending, lambda ended: ended[1].result)

    async def _begin(self, ctx: RequestContext, chosen: Chosen, login_hint: str) -> Beginning:
        raise NotImplementedError

    async def _end(
        self, ctx: RequestContext, returned: R, cookie_of: CookieOf, browser: Browser
    ) -> tuple[Flow | None, Outcome]:
        raise NotImplementedError
