"""What a tenant settles for one of its providers: the stored form, which is the wire's form too, and its rules.

What all kinds have is here. What one kind has beside it is a :class:`KindSettings` in the module of that kind, and
stands in the text under the kind's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeVar, cast

import msgspec
from msgspec import Meta

from manifest_auth.errors import SsoFailed, ValidationError
from manifest_auth.permissions import Role, mask_of
from manifest_auth.protocols.microsoft import Clouds
from manifest_auth.text.canonical import check_return_address
from manifest_auth.text.hosts import DOMAIN

_PROVIDER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")
_RESERVED = frozenset({"new"})  # stands in place of a name where one is made

Address = Annotated[str, Meta(min_length=1, max_length=2000)]


class Directory(NamedTuple):
    """A Microsoft directory that a provider speaks for, and the client id of our application there, or empty."""

    cloud: str
    id: str
    application: str


class KindSettings(msgspec.Struct, frozen=True, rename="camel"):
    """What is settled for providers of one kind alone. ``kind``: its name; ``unique``: what no two providers of a
    client have in common, in words, where responses say that and nothing else of whose they are."""

    kind: ClassVar[str]
    unique: ClassVar[str] = ""

    @property
    def identifier(self) -> str:
        """What the provider calls itself; a Microsoft directory's id."""
        raise NotImplementedError

    @property
    def secret_for(self) -> tuple[str, ...]:
        """Whom the client secret is shown to: another one needs another secret."""
        return (self.identifier,)

    def check(self) -> None:
        """What types cannot say. Raises ValidationError that names the member."""

    def check_change(self, before: Self) -> None:
        """What cannot be changed. Raises ValidationError."""

    def check_rank(self, before: Self | None, by_admin: bool) -> None:
        """What only an Admin or a system admin settles. Raises Forbidden."""

    def microsoft_directory(self, clouds: Clouds) -> Directory | None:
        """The directory that the provider speaks for; its client claims it."""
        return None


class GroupRoles(msgspec.Struct, frozen=True):
    """One line of the table from the provider's groups to roles."""

    group: Annotated[str, Meta(min_length=1, max_length=512, description="As the provider writes it, exactly.")]
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=7)]


class Rules(msgspec.Struct, frozen=True, rename="camel"):
    """What is settled for providers of every kind."""

    domains: Annotated[
        tuple[str, ...], Meta(max_length=100, description="E-mail domains that this provider owns and vouches for.")
    ] = ()
    create_users: Annotated[bool, Meta(description="People who are not known yet get an account.")] = False
    group_roles: Annotated[tuple[GroupRoles, ...], Meta(max_length=500)] = ()
    default_roles: Annotated[
        tuple[Role, ...], Meta(max_length=7, description="Roles of everybody who signs in through this provider.")
    ] = ()
    group_separator: Annotated[
        str, Meta(max_length=1, description="Splits a text that holds several groups; empty: one text is one group.")
    ] = ""
    return_addresses: Annotated[
        tuple[Address, ...], Meta(max_length=50, description="Where a sign-in may end, beside the client's own list.")
    ] = ()

    def roles_of(self, groups: Iterable[str]) -> int:
        """The bit mask of roles that a person with those groups gets.

        A group counts as it is written, case and all: one that merely resembles a listed one gives nothing. White space
        around either does not count, since providers wrap texts; a separator counts only where the provider has one.
        """
        split = [text.split(self.group_separator) if self.group_separator else [text] for text in groups]
        held = {part.strip() for parts in split for part in parts} - {""}
        given = (line.roles for line in self.group_roles if line.group.strip() in held)
        return mask_of(set(self.default_roles).union(*given))


class Settings(Rules, frozen=True, rename="camel"):
    """Everything but the secrets. The registry of kinds makes the one subclass, which has a member for each kind, named
    like it; exactly one of them is there."""

    @property
    def own(self) -> KindSettings:
        """Those of the provider's kind."""
        return next(iter(self._given()))

    def check(self) -> None:
        """What types cannot say. Raises ValidationError that names the member."""
        if len(self._given()) != 1:
            kinds = self._kinds()
            raise ValidationError(details=[(kinds[0], f"Exactly one of {', '.join(kinds)} is needed")])
        for number, domain in enumerate(self.domains):
            if not DOMAIN.match(domain):
                sentence = "Must be a domain in lower case, like acme.example"
                raise ValidationError(details=[(f"domains[{number}]", sentence)])
        for number, address in enumerate(self.return_addresses):
            check_return_address(address, f"returnAddresses[{number}]")
        groups = [line.group for line in self.group_roles]
        if len(groups) != len(set(groups)):
            raise ValidationError(details=[("groupRoles", "Each group may stand there once")])
        self.own.check()

    def _kinds(self) -> tuple[str, ...]:
        return self.__struct_fields__[len(Rules.__struct_fields__) :]

    def _given(self) -> list[KindSettings]:
        return [own for kind in self._kinds() if (own := getattr(self, kind)) is not None]


class Secrets(msgspec.Struct, frozen=True):
    """What is stored encrypted. ``keys`` and ``certificates``: our own pairs for SAML, newest first (PEM, base64)."""

    client_secret: str | None = None
    keys: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()


R = TypeVar("R", bound=Rules)
S = TypeVar("S", bound=KindSettings)


@lru_cache(maxsize=1024)
def _read(text: str, model: type[Any]) -> Any:
    return msgspec.json.decode(text, type=model)


@cache
def _holder(model: type[KindSettings]) -> type[msgspec.Struct]:
    return msgspec.defstruct("Stored", [("own", model, msgspec.field(name=model.kind))])


def settings_of(text: str, model: type[R]) -> R:
    """The settings of a stored text, as much as the model has of them."""
    return cast("R", _read(text, model))


def own_settings_of(text: str, kind: str, model: type[S]) -> S:
    """Those of its kind. Raises SsoFailed where the stored ``kind`` is another one."""
    if kind != model.kind:
        raise SsoFailed(reason="the provider is of another kind")
    return cast("S", _read(text, _holder(model)).own)


def check_provider_name(name: str) -> None:
    """Raises ValidationError."""
    if name in _RESERVED:
        raise ValidationError(details=[("name", f"Another address has this name: {name}")])
    if not _PROVIDER_NAME.match(name):
        sentence = "1 to 63 lower-case letters, digits, inner dots, hyphens, underscores"
        raise ValidationError(details=[("name", sentence)])
