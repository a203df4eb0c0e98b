"""One request for a page as its handler sees it, and what the handler hands back."""

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
    """Something wrong with what was posted. ``field``: of the form, empty for the whole of it; ``text``: in the
    reader's language."""

    field: str
    text: str


class FormRefusal(NamedTuple):
    """Why a form was rejected. ``retry_after``: seconds, 0 if waiting does not help; ``retry_at``: that moment, in
    milliseconds since 1970."""

    problems: tuple[Problem, ...]
    retry_after: int = 0
    retry_at: int = 0

    def about(self, name: str) -> str:
        """The error of a field; empty: nothing."""
        return " ".join(problem.text for problem in self.problems if problem.field == name)


class Confirmation(NamedTuple):
    """The question before an act that affects many, or cannot be undone. Its texts are marked for the catalogues.
    ``title``: can have a ``%(name)s``; ``effects``: a sentence each, with numbers; ``button``: verb and object;
    ``typed``: a text to type in place of a press."""

    title: str
    effects: tuple[str, ...]
    button: str
    typed: str = ""
    name: str = ""


class Link(NamedTuple):
    """``text``: in the reader's language; ``href``: empty for a heading between links."""

    href: str
    text: str


class Brand(NamedTuple):
    """The client's look of a page. ``stylesheet``: address of the client's own colors; ``logo``: of its picture; both
    can be empty, and a logo of None is looked up where the page is rendered. ``client``: its identifier; ``language``:
    where the reader has said none; ``contact``: the line that says whom to ask."""

    name: str
    stylesheet: str = ""
    logo: str | None = ""
    client: str = ""
    tenant_id: int = 0
    language: str = "en"
    contact: str = ""

    @property
    def is_product(self) -> bool:
        """Whether it is no client's page."""
        return self == PRODUCT


PRODUCT = Brand("Manifest")


@dataclass(slots=True)
class View:
    """The content of a template. ``model``: a plain struct whose members the template reads as ``view``; ``template``:
    in place of the route's own."""

    model: object = None
    status: int = 200
    headers: Sequence[Header] = ()
    template: str = ""
    brand: Brand = PRODUCT


@dataclass(slots=True)
class PageCall(Generic[F]):
    """``fields``: of the query for a GET, of the form for a POST, as the handler's model has them; ``upload``: the file
    in it, empty for none. ``here``: the page's own path, with the query that leads back to it.
    ``language``: empty if no one is signed in and nothing says which: the client's usual one then.
    ``form_cookie``: by which this browser's forms are known; ``user``: who is signed in here, None for no one;
    ``admin``: the system admin, on pages of the installation alone. ``said``: the sentence about the change that led
    here, empty for none. ``key``: of the submitted form, or of the one whose result is ``shown`` (:mod:`.submissions`);
    ``shown``: JSON, empty for none."""

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
    headers: list[Header] = field(default_factory=list)  # for the answer, whatever it shows

    @property
    def session_id(self) -> str:
        """Of the session that the browser brought; empty for none."""
        caller = self.user or self.admin
        return caller.session_id if caller is not None else ""

    @property
    def person(self) -> str:
        """The person of the call, in every session; empty for no one."""
        if self.user is not None:
            return f"{self.user.tenant_id}.{self.user.user_id}"
        return self.admin.actor if self.admin is not None else ""

    def show_once(self, path: str, shown: object, headers: Sequence[Header] = ()) -> Answer[None]:
        """After a change: the browser goes on to a page that shows what is stored nowhere in plain text. A reload shows
        it again, for ten minutes or until the person is done. ``path``: of a page that reads :meth:`shown_as`."""
        self.shown = msgspec.json.encode(shown)
        return see_other(f"{path}{'&' if '?' in path else '?'}{SHOWN}={self.key}", headers)

    def shown_as(self, model: type[T]) -> T | None:
        """The value that :meth:`show_once` was given; None for nothing."""
        return msgspec.json.decode(self.shown, type=model) if self.shown else None


def chosen(acts: Mapping[str, T], act: str) -> T:
    """The act that a form names, among those of its page. Raises ValidationError for another."""
    if act not in acts:
        raise ValidationError(reason="no such act")
    return acts[act]


def require(**fields: str) -> None:
    """Each of these fields of a form has a text. Raises ValidationError."""
    if missing := [(name, REQUIRED) for name, text in fields.items() if not text]:
        raise ValidationError(details=missing)


def see_other(path: str, headers: Sequence[Header] = ()) -> Answer[None]:
    """After a change: the browser shows another page of ours, and a reload changes nothing again. ``path``: ASCII."""
    return _to(303, path, headers)


def found(address: str) -> Answer[None]:
    """A redirect (302) in place of a page. ``address``: ASCII, checked by the caller."""
    return _to(302, address, ())


def _to(status: int, address: str, headers: Sequence[Header]) -> Answer[None]:
    return Answer(status, b"", (NO_STORE, (b"location", address.encode("ascii")), *headers))
