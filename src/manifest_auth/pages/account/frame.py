"""Parts that the account pages share: the client's looks, and the sentence after a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from manifest_auth.pages import brands, said
from manifest_auth.pages.account import words
from manifest_auth.pages.call import PageCall, View
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """``said``: what was done just before, a message of the catalogue; empty for nothing."""

    said: str = ""


async def shown(ctx: RequestContext, work: Callable[[TenantUnit], AccountView]) -> View:
    """A page of the signed-in user. ``work``: makes its model, in the same read as the client's looks."""
    return await ctx.store.read(lambda unit: View(work(unit), brand=brands.of_unit(unit)))


def just_done(ctx: RequestContext, call: PageCall[Any]) -> str:
    """The sentence about the change that led to this page, for :attr:`AccountView.said`; empty: none did."""
    return said.sentence(ctx, call, words.SAID)
