"""A page request as its handler sees it, and the handler's result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import msgspec

from manifest_auth.context import AdminCaller, Principal
from manifest_auth.errors import ValidationError
from manifest_auth.http import NO_STORE, Answer, Head, Header
from manifest_auth.text.models import REQUIRED

F = TypeVar("F")
T = TypeVar("T")
SHOWN = "shown"  # the parameter with the key of a form whose result a page shows


class Problem(NamedTuple):
    """An error in a posted form. ``field``: its field, or empty for the whole form; ``text``: in the reader's
    language."""

    field: str
    text: str


class FormRefusal(NamedTuple):
    """The reason why a form was rejected. ``retry_after``: seconds, 0 if waiting does not help; ``retry_at``: that
    moment, in milliseconds since 1970."""

    problems: tuple[Problem, ...]
    retry_after: int = 0
    retry_at: int = 0

    def about(self, name: str) -> str:
        """Returns the error of a field; empty if there is none."""
        return " ".join(problem.text for problem in self.problems if problem.field == name)


class Confirmation(NamedTuple):
    """The question before an action that affects many people or can't be undone. Its texts are marked for the catalogs.
    ``title``: can contain ``%(name)s``; ``effects``: one sentence each, with numbers; ``button``: verb and object;
    ``typed``: a text to type instead of only pressing a button."""

    title: str
    effects: tuple[str, ...]
    button: str
    typed: str = ""
    name: str = ""


class Link(NamedTuple):
    """A link on a page. ``text``: in the reader's language; ``href``: empty for a heading between links."""

    href: str
    text: str


class Brand(NamedTuple):
    """The client's look of a page. ``stylesheet``: address of the client's own colors; ``logo``: that of its picture;
    both can be empty, and a logo of None is looked up when the page is rendered. ``client``: its identifier;
    ``language``: used if the reader chose none; ``contact``: the client's support contact."""

    name: str
    stylesheet: str = ""
    logo: str | None = ""
    client: str = ""
    tenant_id: int = 0
    language: str = "en"
    contact: str = ""

    @property
    def is_product(self) -> bool:
        """Whether the page doesn't belong to a client."""
        return self == PRODUCT


PRODUCT = Brand("Manifest")


@dataclass(slots=True)
class View:
    """The content of a template. ``model``: a plain struct that the template reads as ``view``; ``template``: replaces
    the route's own."""

    model: object = None
    status: int = 200
    headers: Sequence[Header] = ()
    template: str = ""
    brand: Brand = PRODUCT


@dataclass(slots=True)
class PageCall(Generic[F]):
    """The call of a page. ``fields``: the query of a GET or the form of a POST, as the handler's model has them;
    ``upload``: the file in the form, or empty; ``here``: the page's own path, with the query that leads back to it;
    ``language``: empty if nobody is signed in and nothing else determines it, so that the client's default applies;
    ``form_cookie``: identifies this browser's forms; ``user``: the signed-in user, or None; ``admin``: the system
    admin, only on pages of the installation; ``said``: the sentence about the change that led here, or empty; ``key``:
    that of the submitted form, or of the one whose result is ``shown`` (:mod:`.submissions`); ``shown``: JSON, or
    empty."""

    head: Head
    fields: F
    path: dict[str, str]
    here: str
    language: str
    form_cookie: str
    user: Principal | None
    admin: AdminCaller | None = None
    key: str = ""
    shown: bytes = b""
    upload: bytes = b""
    said: str = ""
    headers: list[Header] = field(default_factory=list)  # for every response, regardless of its content

    @property
    def session_id(self) -> str:
        """The identifier of the browser's session; empty if there is none."""
        caller = self.user or self.admin
        return caller.session_id if caller is not None else ""

    @property
    def person(self) -> str:
        """The identifier of the person who calls, the same in all their sessions; empty for nobody."""
        if self.user is not None:
            return f"{self.user.tenant_id}.{self.user.user_id}"
        return self.admin.actor if self.admin is not None else ""

    def show_once(self, path: str, shown: object, headers: Sequence[Header] = ()) -> Answer[None]:
        """After a change, redirects the browser to a page that shows a value that is stored nowhere in plain text. A
        reload shows it again, for ten minutes or until the person confirms that they're done. ``path``: the path of a
        page that reads :meth:`shown_as`."""
        self.shown = msgspec.json.encode(shown)
        return see_other(f"{path}{'&' if '?' in path else '?'}{SHOWN}={self.key}", headers)

    def shown_as(self, model: type[T]) -> T | None:
        """Returns the value that was passed to :meth:`show_once`; None if there is none."""
        return msgspec.json.decode(self.shown, type=model) if self.shown else None


def chosen(acts: Mapping[str, T], act: str) -> T:
    """Returns the action that a form names, one of its page's actions. Raises ValidationError for any other."""
    if act not in acts:
        raise ValidationError(reason="unknown action")
    return acts[act]


def require(**fields: str) -> None:
    """Checks that each of these fields of a form has a value. Raises ValidationError."""
    if missing := [(name, REQUIRED) for name, text in fields.items() if not text]:
        raise ValidationError(details=missing)


def see_other(path: str, headers: Sequence[Header] = ()) -> Answer[None]:
    """After a change, redirects the browser to another page of this server, so that a reload doesn't repeat the change.
    ``path``: ASCII."""
    return _to(303, path, headers)


def found(address: str) -> Answer[None]:
    """Returns a redirect (302) instead of a page. ``address``: ASCII, checked by the caller."""
    return _to(302, address, ())


def _to(status: int, address: str, headers: Sequence[Header]) -> Answer[None]:
    return Answer(status, b"", (NO_STORE, (b"location", address.encode("ascii")), *headers))
