"""Settings of a provider, as stored and as on the wire, and their validation.

Settings shared by all kinds are here. Those of one kind are a :class:`KindSettings` in that kind's module, stored under
the kind's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypeVar, cast

import msgspec
from msgspec import Meta

from manifest_auth.errors import Reason, SsoFailed, ValidationError
from manifest_auth.permissions import Role, mask_of
from manifest_auth.protocols.microsoft import Clouds
from manifest_auth.text.canonical import DOMAIN, check_return_address
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import RETURN_ADDRESS, ErrorCollector, matching

PROVIDER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")
_RESERVED = frozenset({"new"})  # used instead of a name in the path that creates one

Address = Annotated[str, Meta(min_length=1, max_length=2000, extra_json_schema=RETURN_ADDRESS)]
GroupClaim = Annotated[str, Meta(max_length=256, description="Claim that contains the groups.")]
#: One value of ``amr`` or ``acr``. Blanks separate values in a request (OpenID Connect Core, section 3.1.2.1).
ProofValue = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$")]


class Directory(NamedTuple):
    """The Microsoft directory of a provider, and the client ID of this server's application there, or empty."""

    cloud: str
    id: str
    application: str


class KindSettings(msgspec.Struct, frozen=True, rename="camel"):
    """Settings of one kind of provider. ``kind``: its name, one lowercase word; ``unique``: the label of
    ``identifier``, for kinds in which no two providers of a client can share it; ``opens_sessions``: False for kinds
    that send their tokens with each call."""

    kind: ClassVar[str]
    unique: ClassVar[str] = ""
    opens_sessions: ClassVar[bool] = True

    @property
    def identifier(self) -> str:
        """The provider's issuer, entity ID, or Microsoft directory ID."""
        raise NotImplementedError

    @property
    def subjects_in(self) -> str:
        """The scope in which a subject identifies one person: the issuer, unless the provider uses a different subject
        for each application."""
        return self.identifier

    @property
    def secret_for(self) -> tuple[str, ...]:
        """The values that the client secret belongs to; if they change, a new secret is needed."""
        return (self.identifier,)

    def check(self) -> None:
        """Checks constraints that types cannot express. Raises ValidationError that names the member."""

    def check_change(self, before: Self) -> None:
        """Rejects changes that are not allowed. Raises ValidationError."""

    def check_rank(self, before: Self | None, by_admin: bool) -> None:
        """Rejects settings that only an Admin or a system admin can set. Raises Forbidden."""

    def microsoft_directory(self, clouds: Clouds) -> Directory | None:
        """Returns the Microsoft directory of the provider, which its client must claim."""
        return None


class GroupRoles(msgspec.Struct, frozen=True):
    """The roles of one group."""

    group: Annotated[str, Meta(min_length=1, max_length=512, description="Exactly as the provider sends it.")]
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=7)]


class Rules(msgspec.Struct, frozen=True, rename="camel"):
    """Settings of providers of every kind."""

    domains: Annotated[
        tuple[Annotated[str, Meta(extra_json_schema=matching(DOMAIN))], ...],
        Meta(max_length=100, description="Email domains whose addresses this provider confirms."),
    ] = ()
    create_users: Annotated[bool, Meta(description="Creates accounts for users who don't have one.")] = False
    group_roles: Annotated[tuple[GroupRoles, ...], Meta(max_length=500)] = ()
    default_roles: Annotated[
        tuple[Role, ...], Meta(max_length=7, description="Roles of every user who signs in through this provider.")
    ] = ()
    group_separator: Annotated[
        str,
        Meta(
            max_length=1,
            description="Separator, if one value contains several groups. Default: each value is one group.",
        ),
    ] = ""
    return_addresses: Annotated[
        tuple[Address, ...],
        Meta(max_length=50, description="URLs that a sign-in can return to, in addition to the client's own list."),
    ] = ()

    step_up_without_time: Annotated[
        bool,
        Meta(
            description="Accepts a new sign-in there as re-authentication even if the provider doesn't say "
            "when the user authenticated. For example, Google doesn't."
        ),
    ] = False

    second_factor: Annotated[
        Literal["trust", "claims", "ask"],
        Meta(
            description="Who checks the second factor. `trust`: the provider. `claims`: the provider, if its "
            "response contains one of the values of `amr` or `acr`. `ask`: this server, by the "
            "client's policy, as after a password."
        ),
    ] = "trust"
    amr: Annotated[
        tuple[ProofValue, ...],
        Meta(max_length=20, description="For `claims`: a value of the claim `amr` that counts as two factors."),
    ] = ()
    acr: Annotated[
        tuple[ProofValue, ...],
        Meta(
            max_length=20,
            description="For `claims`: a value of `acr`, `acrs`, or AuthnContextClassRef that counts as two factors.",
        ),
    ] = ()

    def roles_of(self, groups: Iterable[str]) -> int:
        """Returns the bit mask of roles for a person with those groups.

        Groups are compared exactly and case-sensitively. White space around them is ignored, since providers wrap
        texts. A separator splits only if the provider has one.
        """
        split = [text.split(self.group_separator) if self.group_separator else [text] for text in groups]
        present = {part.strip() for parts in split for part in parts} - {""}
        granted = (line.roles for line in self.group_roles if line.group.strip() in present)
        return mask_of(set(self.default_roles).union(*granted))


class Settings(Rules, frozen=True, rename="camel"):
    """All settings except the secrets. The registry of kinds creates the only subclass, with a member for each kind,
    exactly one of which is set."""

    @property
    def own(self) -> KindSettings:
        """The settings of the provider's kind."""
        return next(iter(self._own_settings()))

    def check(self) -> None:
        """Checks constraints that types cannot express. Raises ValidationError that names all invalid members."""
        with ErrorCollector() as each:
            with each:
                wrong = [*self._wrong()]
                if wrong:
                    raise ValidationError(details=wrong)
            for number, address in enumerate(self.return_addresses):
                with each:
                    check_return_address(address, f"returnAddresses[{number}]")
            for own in self._own_settings():
                with each:
                    own.check()

    def _wrong(self) -> Iterator[tuple[str, str]]:
        kinds, own = self._kinds(), self._own_settings()
        if len(own) != 1:
            yield kinds[0], f"Exactly one of {', '.join(kinds)} is required"
        for number, domain in enumerate(self.domains):
            if not DOMAIN.match(domain):
                yield f"domains[{number}]", _("Must be a domain in lowercase, for example acme.example")
        groups = [line.group for line in self.group_roles]
        if len(groups) != len(set(groups)):
            yield "groupRoles", _("List each group once")
        if self.second_factor != "trust" and not all(one.opens_sessions for one in own):
            yield (
                "secondFactor",
                (_("Its tokens don't open sessions, so only the provider decides how users authenticate")),
            )

    def _kinds(self) -> tuple[str, ...]:
        return self.__struct_fields__[len(Rules.__struct_fields__) :]

    def _own_settings(self) -> list[KindSettings]:
        return [own for kind in self._kinds() if (own := getattr(self, kind)) is not None]


class Secrets(msgspec.Struct, frozen=True):
    """The encrypted part. ``keys`` and ``certificates``: this server's key pairs for SAML, newest first (PEM,
    base64)."""

    client_secret: str | None = None
    keys: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()


R = TypeVar("R", bound=Rules)
S = TypeVar("S", bound=KindSettings)


@lru_cache(maxsize=1024)
def _read(text: str, model: type[Any]) -> Any:
    return msgspec.json.decode(text, type=model)


_OTHER_KIND = Reason(
    "the provider is of a different kind",
    cause="The start URL or redirect URI belongs to another kind of provider",
    cure="Use the URL in `startUrl`",
)


@cache
def _stored_model(model: type[KindSettings]) -> type[msgspec.Struct]:
    return msgspec.defstruct("Stored", [("own", model, msgspec.field(name=model.kind))])


def settings_of(text: str, model: type[R]) -> R:
    """Returns the members of ``model`` in stored text."""
    return cast("R", _read(text, model))


def own_settings_of(text: str, kind: str, model: type[S]) -> S:
    """Returns the settings of the kind. Raises SsoFailed if the stored ``kind`` is a different one."""
    if kind != model.kind:
        raise SsoFailed(reason=_OTHER_KIND)
    return cast("S", _read(text, _stored_model(model)).own)


def check_provider_name(name: str) -> None:
    """Checks the name. Raises ValidationError."""
    if name in _RESERVED:
        raise ValidationError(details=[("name", _("Another address already has the name %(name)s", name=name))])
    if not PROVIDER_NAME.match(name):
        sentence = _("Must be 1 to 63 lowercase letters and digits; dots, hyphens, and underscores only in between")
        raise ValidationError(details=[("name", sentence)])
