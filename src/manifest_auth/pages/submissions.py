"""Submitted forms: each is carried out once across all nodes, and waits while its sender signs in again.

A row contains the response to a form, so that a repeat gets the first result. For a while it also contains a secret
that a page shows, or the fields that wait. Both are encrypted and bound to the person. Rows are deleted after a day,
the lifetime of a form's token.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
import time
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, select, update

from manifest_auth.errors import Conflict
from manifest_auth.http import NO_STORE, Answer
from manifest_auth.pages import flash, security
from manifest_auth.pages.call import PageCall
from manifest_auth.pages.words import NOT_SAVED, UNKNOWN_RESULT, FormExpired
from manifest_auth.services import RequestContext
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.store import StoreUnavailable, SystemUnit, global_, upsert
from manifest_auth.store.tables import submitted_forms

SHOWN_MS = 10 * 60_000
HELD_MS = 60 * 60_000
LONGEST_MS = 5 * 60_000  # no request takes longer
MOST = 200  # rows per person; older ones are deleted
_WAIT_S, _PAUSE_S, _LONG_PAUSE_S = 10.0, 0.05, 1.0
_TRIES_S = (0.1, 1.0)  # pauses before another attempt to store a result
#: Fields that must be entered again and are never stored.
_SECRET = re.compile("code|otp|password|pin|secret|token|credential|.*(Code|Otp|Password|Secret|Token)")
_S = submitted_forms.c
_THIS = _S.key == bindparam("of_key")


class _Row(NamedTuple):
    made_at: int
    answer: bytes | None
    kept: bytes | None


_CLAIM = global_(
    upsert(submitted_forms)
    .values({name: bindparam(name) for name in ("key", "person", "made_at", "answer", "kept")})
    .on_conflict_do_nothing(index_elements=["key"])
)
_FIND = global_(select(_S.made_at, _S.answer, _S.kept).where(_THIS), _Row)
_FINISH = global_(update(submitted_forms).where(_THIS).values(answer=bindparam("answered"), kept=bindparam("keeps")))
_FORGET = global_(update(submitted_forms).where(_THIS, _S.kept.is_not(None)).values(kept=None))
_OF_PERSON = _S.person == bindparam("of_person")
_NEWEST = select(_S.made_at).where(_OF_PERSON).order_by(_S.made_at.desc()).offset(MOST - 1).limit(1).scalar_subquery()
_DROP_OLD = global_(delete(submitted_forms).where(_OF_PERSON, _S.made_at < _NEWEST))
_RELEASE = global_(delete(submitted_forms).where(_THIS))


class HeldForm(msgspec.Struct, frozen=True):
    """A form that waits. ``path``: the route path of its page; ``names``: values in that path; ``is_whole``: no secret
    was omitted."""

    path: str
    names: dict[str, str]
    fields: dict[str, str]
    upload: bytes = b""
    is_whole: bool = True

    def without_secrets(self) -> HeldForm:
        """Returns the form as it can be stored, and shown again."""
        fields = {name: text for name, text in self.fields.items() if not _SECRET.fullmatch(name)}
        is_whole = not any(self.fields[name] for name in self.fields.keys() - fields.keys())
        return msgspec.structs.replace(self, fields=fields, is_whole=is_whole)


class Kept(msgspec.Struct, frozen=True):
    """The data of a submission. ``person``, ``session``: its owner; ``shown``: JSON for the page at ``path``; ``form``:
    a form that waits."""

    person: str
    session: str
    shown: bytes = b""
    path: str = ""
    form: HeldForm | None = None


class _Result(msgspec.Struct, frozen=True):
    """The result of a form. ``content``: as :func:`content_of` returns it; ``session``: the session in which the form
    was sent; no other session gets the ``headers``, a cookie of :mod:`.flash`."""

    content: bytes
    session: str
    location: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    def answer(self, call: PageCall[Any]) -> Answer[None]:
        headers = self.headers if self.session == call.session_id else ()
        return Answer(303, b"", (NO_STORE, (b"location", self.location), *headers))


def content_of(call: PageCall[Any], texts: dict[str, str]) -> bytes:
    """Returns a value that distinguishes a repeat from a changed form. It is a MAC with a key that only the browser
    has, so the database reveals nothing about a password or PIN in the form."""
    content = msgspec.msgpack.encode((sorted(texts.items()), call.upload))
    return hmac.digest(call.form_cookie.encode(), content, "sha256")


async def claim(ctx: RequestContext, key: str, person: str) -> bool:
    """Whether this is the first time that the form is sent. It is then carried out, and :func:`finish` or
    :func:`release` follows."""
    return await _claim(ctx, key, person, None, None)


async def put_by(ctx: RequestContext, key: str, content: bytes, answer: Answer[None], kept: Kept) -> bool:
    """Claims a form like :func:`claim`, for a form that waits, with its result."""
    return await _claim(ctx, key, kept.person, *_sealed(ctx, key, content, kept.session, answer, kept))


async def _claim(ctx: RequestContext, key: str, person: str, answered: bytes | None, keeps: bytes | None) -> bool:
    def work(unit: SystemUnit) -> bool:
        unit.change(_DROP_OLD, of_person=person)
        return unit.change(_CLAIM, key=key, person=person, made_at=ctx.now, answer=answered, kept=keeps) == 1

    return await ctx.services.store.write_quickly(work)


async def release(ctx: RequestContext, key: str) -> None:
    """Releases a form after nothing was done, so that it can be sent again."""
    with contextlib.suppress(StoreUnavailable):  # then the result of a repeat is unknown
        await ctx.services.store.write_quickly(lambda unit: unit.change(_RELEASE, of_key=key))


async def finish(
    ctx: RequestContext, key: str, content: bytes, session: str, answer: Answer[None], kept: Kept | None
) -> None:
    """Stores the redirect that the form returns. ``session``: the session in which it was sent. Raises
    StoreUnavailable."""
    result, keeps = _sealed(ctx, key, content, session, answer, kept)
    for pause in (*_TRIES_S, None):
        try:
            await ctx.services.store.write_quickly(
                lambda unit: unit.change(_FINISH, of_key=key, answered=result, keeps=keeps)
            )
            return
        except StoreUnavailable:
            if pause is None:
                raise
            await asyncio.sleep(pause)


def _sealed(
    ctx: RequestContext, key: str, content: bytes, session: str, answer: Answer[None], kept: Kept | None
) -> tuple[bytes, bytes | None]:
    location = next(value for name, value in answer.headers if name == b"location")
    said = flash.cookie_name(ctx).encode() + b"="  # no other cookie is stored
    headers = tuple(one for one in answer.headers if one[0] == b"set-cookie" and one[1].startswith(said))
    result = _encrypt(ctx, key, _Result(content, session, location, headers))
    return result, _encrypt(ctx, key, kept) if kept is not None else None


async def first_answer(ctx: RequestContext, call: PageCall[Any], key: str, content: bytes) -> Answer[None] | None:
    """Returns the result of the first submission, which might still be in progress. None if it was rejected and can be
    sent again. Raises FormExpired if it was changed in between, and Conflict if the result is unknown, for example
    because the process was killed."""
    until, pause = time.monotonic() + _WAIT_S, _PAUSE_S
    while True:
        row = await ctx.services.store.look_up(_FIND, of_key=key)
        if row is None:
            return None
        found = await _result_in(ctx, key, row)
        if found is not None:
            if found.content != content:
                raise FormExpired(NOT_SAVED, reason="a form was changed and sent again")
            return found.answer(call)
        if row.answer is not None or time.monotonic() > until or ctx.now >= row.made_at + LONGEST_MS:
            raise Conflict(UNKNOWN_RESULT, reason="a form was sent again, and its result isn't known")
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONG_PAUSE_S)


async def result(ctx: RequestContext, call: PageCall[Any], key: str) -> Answer[None] | None:
    """Returns the response to a form that was sent in this session; None if there is none."""
    row = await ctx.services.store.look_up(_FIND, of_key=key)
    found = await _result_in(ctx, key, row) if row is not None else None
    return found.answer(call) if found is not None and found.session == call.session_id != "" else None


async def _result_in(ctx: RequestContext, key: str, row: _Row) -> _Result | None:
    raw = await _decrypt(ctx, key, row.answer) if row.answer is not None else None
    return msgspec.msgpack.decode(raw, type=_Result) if raw is not None else None


async def read(ctx: RequestContext, call: PageCall[Any], key: str, life_ms: int) -> Kept | None:
    """Returns the submission kept for the person who is signed in, if it is not older than ``life_ms``."""
    if not call.person:
        return None
    row = await ctx.services.store.look_up(_FIND, of_key=key)
    if row is None or row.kept is None or ctx.now >= row.made_at + life_ms:
        return None
    raw = await _decrypt(ctx, key, row.kept)
    kept = msgspec.msgpack.decode(raw, type=Kept) if raw is not None else None
    return kept if kept is not None and kept.person == call.person else None


async def read_shown(ctx: RequestContext, call: PageCall[Any], key: str, path: str = "") -> bytes:
    """Returns the value that the page at ``path``, or any page, shows in this session after the form was carried out;
    empty if there is none."""
    kept = await read(ctx, call, key, SHOWN_MS)
    is_here = kept is not None and kept.session == call.session_id and path in (kept.path, "")
    return kept.shown if kept is not None and is_here else b""


async def forget(ctx: RequestContext, key: str) -> bool:
    """Deletes the stored value, but keeps the result. Returns whether there was a value."""
    return await ctx.services.store.write_quickly(lambda unit: unit.change(_FORGET, of_key=key)) == 1


def _encrypt(ctx: RequestContext, key: str, value: msgspec.Struct) -> bytes:
    """Encrypts with the key of forms, which is valid for as long as a row is kept."""
    return security.encrypt(ctx, f"submitted {key}", msgspec.msgpack.encode(value), Purpose.FORMS)


async def _decrypt(ctx: RequestContext, key: str, raw: bytes) -> bytes | None:
    return await security.decrypt(ctx, f"submitted {key}", raw, Purpose.FORMS)
