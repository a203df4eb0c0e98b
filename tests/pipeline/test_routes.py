"""Routes and pages can't be declared with more access than their address implies."""

from __future__ import annotations

import re

import pytest

from manifest_auth.http import Access, Answer, Call, Route, Who
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.routing import Audience, page
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from tests.support.matrix import matrix
from tests.support.rules import rule

pytestmark = pytest.mark.one_store


async def _handler(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    raise NotImplementedError


async def _show(ctx: RequestContext, call: PageCall[None]) -> View:
    raise NotImplementedError


@rule("DENY-BY-DEFAULT")
@matrix(("path", "who"), [
    ("/api/admin/things", Access.OPEN),
    ("/api/admin/things", Access.CLIENT),
    ("/api/admin/auth/things", Permission.USERS_MANAGE),
    ("/api/client/things", Access.OPEN),
    ("/api/client/things", Access.CLIENT),
    ("/api/client/auth/things", Access.ADMIN),
    ("/api/client/things", Access.ADMIN),
    ("/things", Access.ADMIN),
    ("/things", Permission.USERS_MANAGE),
])  # fmt: skip
def test_no_route_is_for_others_than_its_address_says(path: str, who: Who) -> None:
    with pytest.raises(TypeError, match=re.escape(path)):
        Route("GET", path, _handler, who, "")


def test_a_route_for_a_permission_is_for_users_who_have_it() -> None:
    made = Route("GET", "/api/client/things", _handler, Permission.USERS_MANAGE, "")
    assert (made.access, made.permission) == (Access.CLIENT, Permission.USERS_MANAGE)


@rule("DENY-BY-DEFAULT")
@matrix(("path", "audience"), [
    ("/account/things", None),
    ("/account/things", Audience.EVERYONE),
    ("/console/things", Audience.SIGNED_IN),
    ("/console/things", None),
    ("/installation/things", Audience.SIGNED_IN),
    ("/installation/things", None),
])  # fmt: skip
def test_no_page_is_for_others_than_its_address_says(path: str, audience: Audience | None) -> None:
    with pytest.raises(TypeError, match=re.escape(path)):
        page("GET", path, _show, "", "", audience=audience)
