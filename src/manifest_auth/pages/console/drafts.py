"""Form input that waits for a recent proof, sealed in the address that leads back to the form.

It is bound to the browser and to the page, so no other site can fill a form in. Nothing is stored, and nothing changes
before the form is sent again.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from manifest_auth.pages import sealed
from manifest_auth.pages.call import PageCall
from manifest_auth.services import RequestContext

#: Characters of an address: with more, proxies refuse it, and the form is empty afterwards.
_LONGEST = 5000
_MOST_BYTES = 1 << 20


class _Draft(msgspec.Struct, frozen=True):
    fields: dict[str, str]
    made_at: int


def address(ctx: RequestContext, call: PageCall[Any], path: str, fields: dict[str, str]) -> str:
    """Of the page with its form as it was typed. ``path``: of the page, which takes the draft as ``draft``."""
    raw = msgspec.json.encode(_Draft({name: text for name, text in fields.items() if text}, ctx.now))
    found = f"{path}?draft={sealed.seal(ctx, _holder(call, path), zlib.compress(raw, 9))}"
    return found if len(found) <= _LONGEST else path


async def fields_of(ctx: RequestContext, call: PageCall[Any], path: str, draft: str) -> dict[str, str] | None:
    """What was typed; None for a draft that is not this browser's, or older than an hour."""
    packed = await sealed.unseal(ctx, _holder(call, path), draft) if draft else None
    if packed is None:
        return None
    found = msgspec.json.decode(zlib.decompressobj().decompress(packed, _MOST_BYTES), type=_Draft)
    return found.fields if sealed.is_fresh(found.made_at, ctx.now) else None


def _holder(call: PageCall[Any], path: str) -> str:
    return f"draft {path} {call.session_id} {call.form_cookie}"
