"""Base class of a kind of identity provider.

To add a kind, write a module with a :class:`Kind`, add its line to :mod:`.kinds`, and write a page in
``docs/providers``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, Union, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import KindSettings, Provider, Secrets
from manifest_auth.providers.sign_in_flows import Flow, StartedFlow
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.services import RequestContext, Services
from manifest_auth.sign_in.browser_identity import BrowserCookies
from manifest_auth.sign_in.providers.provider_flow import Outcome, ProviderChoice
from manifest_auth.sign_in.sign_in_metrics import counted, no_result_yet

S = TypeVar("S", bound=KindSettings)
R = TypeVar("R")
CookieOf = Callable[[str], "str | None"]  # from a cookie's name to its value
_SECRET = (
    Annotated[str, Meta(max_length=2000, description="Stored encrypted and never returned. `null` removes it.")] | None
)


class OurselvesData(msgspec.Struct, frozen=True, rename="camel"):
    """The values to enter at the provider."""

    callback_url: str | UnsetType = UNSET
    shared_callback_url: (
        Annotated[
            str,
            Meta(
                description="Used instead of `callbackUrl` if `sharedCallback` is set and the provider announces `iss`."
            ),
        ]
        | UnsetType
    ) = UNSET
    entity_id: str | UnsetType = UNSET
    acs_url: str | UnsetType = UNSET
    metadata_url: str | UnsetType = UNSET
    certificates: tuple[str, ...] | UnsetType = UNSET


class CertificateData(msgspec.Struct, frozen=True, rename="camel"):
    """A pinned certificate."""

    subject: str
    not_before: str
    not_after: str
    fingerprint: str


class Callback(NamedTuple):
    """A path to which providers of a kind send browsers back. It can contain ``{client}`` and ``{provider}``."""

    path: str
    summary: str


class CallbackState(NamedTuple):
    """The callback address of a provider, and whether it is registered there. ``act``: what the client must do, or
    empty."""

    address: str
    state: str
    act: str = ""


class SignInStart(NamedTuple):
    """The continuation of a sign-in: at ``address``, or, if the response can carry one, with a ``page`` and its content
    security policy. ``cross_site``: the browser returns through a form on the provider's page."""

    begun: StartedFlow
    address: str
    page: tuple[bytes, str] | None = None
    cross_site: bool = False


def optional(model: type[msgspec.Struct], name: str, **others: Any) -> type[msgspec.Struct]:
    """Creates a copy of the model with every member optional; ``others`` replace or add members."""
    members = {field: get_type_hints(model, include_extras=True)[field] for field in model.__struct_fields__} | others
    fields = [(field, Union[kind, UnsetType], UNSET) for field, kind in members.items()]  # noqa: UP007 - kinds are values
    return msgspec.defstruct(name, fields, rename="camel", frozen=True, kw_only=True, module=__name__)


class Kind(ABC, Generic[S, R]):
    """A kind of provider. ``S``: its settings; ``R``: the parameters of its callback.

    ``start``: the path that starts a sign-in, empty for kinds without one; ``summary``: of that route; ``usual_name``:
    the provider's name if a start names neither client nor provider; ``callbacks``: paths with ``state`` and ``code``;
    ``cross_site``: browsers return through a form on the provider's page, so the cookie must be sent cross-site;
    ``members``: members of a body that add to the settings or replace some of them.
    """

    settings: type[S]
    start = ""
    summary = ""
    usual_name: str | None = None
    callbacks: tuple[Callback, ...] = ()
    cross_site = False
    members: Mapping[str, Any] = {"client_secret": _SECRET}

    def __init__(self) -> None:
        if not re.fullmatch("[a-z]+", self.name):  # the same in the database, on the wire and in Python
            raise TypeError(f"{self.name!r} must be one word in lower case")

    @property
    def name(self) -> str:
        """The name in the database, on the wire, in metrics, and as a session's method."""
        return self.settings.kind

    def body(self) -> type[msgspec.Struct]:
        """Returns the wire model of the kind's settings in a body."""
        return optional(self.settings, f"{self.settings.__name__.removesuffix('Settings')}Change", **self.members)

    def read(self, members: dict[str, Any]) -> dict[str, Any]:
        """Returns the members to store, derived from those of a body. Raises ValidationError."""
        return members

    def check_here(self, services: Services, own: S) -> None:
        """Rejects addresses that this installation must not call or redirect to. Raises ValidationError."""

    async def new_key(self, ctx: RequestContext, name: str) -> tuple[str, str] | None:
        """Returns a key (PEM) and a certificate (base64) of this server for a new provider, if the kind needs them."""
        return None

    def certificates(self, own: S) -> tuple[CertificateData, ...]:
        """Returns the pinned certificates."""
        return ()

    def values_by_name(self, ctx: RequestContext, client: str, name: str) -> OurselvesData:
        """Returns the values to enter at a provider that depend only on its name, so they are known before it is
        created. ``client`` is the identifier of the provider's client."""
        return OurselvesData()

    def registration_values(
        self, ctx: RequestContext, client: str, provider: Provider, secrets: Secrets
    ) -> OurselvesData:
        """Returns the values to enter at an existing provider."""
        return self.values_by_name(ctx, client, provider.name)

    async def callback_state(self, ctx: RequestContext, client: str, provider: Provider) -> CallbackState:
        """Returns the line that ``provider callbacks`` prints for the provider."""
        ours = self.registration_values(ctx, client, provider, Secrets())
        address = ours.callback_url or ours.acs_url
        return CallbackState(address, "of its own kind") if address else CallbackState("-", "needs none")

    @abstractmethod
    def diagnose(
        self, ctx: RequestContext, client: str, provider: Provider, outgoing: Outgoing, *, is_quiet: bool = False
    ) -> AsyncIterator[Finding]:
        """Returns the findings of a test of the provider. ``outgoing`` reveals no more than the caller is allowed to
        see. ``is_quiet``: only test what the provider publishes, or what it treats as a usual call."""

    async def begin(self, ctx: RequestContext, chosen: ProviderChoice, login_hint: str) -> SignInStart:
        """Starts a sign-in. Raises ProviderUnavailable, SsoFailed, RateLimited, and Conflict if this kind cannot link
        an identity that way."""
        started = await counted(ctx, self.name, self._begin(ctx, chosen, login_hint), no_result_yet)
        return started._replace(cross_site=self.cross_site)

    async def end(
        self, ctx: RequestContext, returned: R, cookie_of: CookieOf, browser: BrowserCookies
    ) -> tuple[Flow | None, Outcome]:
        """Verifies the callback and completes the sign-in. Raises SsoFailed, AccountDisabled, ProviderUnavailable, and
        the errors that the kind adds."""
        ending = self._end(ctx, returned, cookie_of, browser)
        return await counted(ctx, self.name, ending, lambda ended: ended[1].result)

    async def _begin(self, ctx: RequestContext, chosen: ProviderChoice, login_hint: str) -> SignInStart:
        raise NotImplementedError

    async def _end(
        self, ctx: RequestContext, returned: R, cookie_of: CookieOf, browser: BrowserCookies
    ) -> tuple[Flow | None, Outcome]:
        raise NotImplementedError
