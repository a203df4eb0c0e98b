"""New recovery codes on a page of the account, shown in the answer that makes them and never again."""

from __future__ import annotations

from collections.abc import Sequence

from manifest_auth.pages import brands
from manifest_auth.pages.account.frame import AccountView
from manifest_auth.pages.call import View
from manifest_auth.services import RequestContext

TEMPLATE = "account/new_codes.html"


class NewCodesView(AccountView, frozen=True, kw_only=True):
    """``next``: the page that comes after."""

    codes: tuple[str, ...]
    next: str


def codes_of(ctx: RequestContext, codes: Sequence[str], then: str) -> View:
    """The page with the codes; no redirect comes before it. ``then``: where it leads."""
    return View(NewCodesView(codes=tuple(codes), next=then), template=TEMPLATE, brand=brands.of_user(ctx.user))
