"""``/api/admin/throttles``: system admins see how many are held back now, and let them go."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import audit
from manifest_auth.accounts import admins, users
from manifest_auth.api.admin import lists
from manifest_auth.api.admin.client_scope import by_name
from manifest_auth.audit import Event
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Call, Items, Paging, Route, Time, Wire
from manifest_auth.runtime.settings import plain_address
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.text.canonical import email_key
from manifest_auth.throttle import blocked


class ThrottlesQuery(Paging, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[
        Literal["ID", "ID_DESC", "ALLOWED", "ALLOWED_DESC", "FAILURES", "FAILURES_DESC"], Meta(description="Order.")
    ] = "ALLOWED_DESC"


class ClearBody(msgspec.Struct, frozen=True):
    """Whom to let go: an account of a client (`client` and `email`), a system admin (`username`), an `address`, or an
    account as it was tried from an address."""

    client: Annotated[str, Meta(min_length=1, max_length=63)] | UnsetType = UNSET
    email: Annotated[str, Meta(min_length=3, max_length=254)] | UnsetType = UNSET
    username: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    address: Annotated[str, Meta(min_length=2, max_length=45)] | UnsetType = UNSET


class ThrottleData(Wire, frozen=True):
    """A counter that holds somebody back. ``id`` is a hash: who or where it is, is not stored."""

    id: str
    failures: int
    allowed_at: Time
    updated_at: Time


class ThrottlesData(Items[ThrottleData], frozen=True): ...


class Cleared(Wire, frozen=True):
    cleared: int


async def _list(ctx: RequestContext, call: Call[None]) -> ThrottlesData:
    asked: ThrottlesQuery = call.parameters
    filters = Filters(now=ctx.now)
    return await ctx.services.store.read(
        lambda unit: lists.page(ThrottlesData, ThrottleData.of, unit, blocked.LISTING, asked, filters)
    )


async def _clear_all(ctx: RequestContext, call: Call[None]) -> Cleared:
    def work(unit: SystemUnit) -> int:
        cleared = blocked.clear_all(unit)
        audit.record_installation(unit, ctx, Event.THROTTLES_CLEARED, cleared=cleared, all=True)
        return cleared

    return Cleared(await ctx.services.store.write(work))


async def _clear(ctx: RequestContext, call: Call[ClearBody]) -> Cleared:
    given = {f: str(v) for f in call.body.__struct_fields__ if (v := getattr(call.body, f)) is not UNSET}
    _check(given)
    return Cleared(await ctx.services.store.write(lambda unit: _let_go(unit, ctx, given)))


def _check(given: dict[str, str]) -> None:
    if ("client" in given) != ("email" in given) or ("email" in given and "username" in given):
        raise ValidationError(details=[("email", "An account is named by client and email, or by username")])
    if not given:
        raise ValidationError(details=[("address", "Name an account or an address; DELETE lets all go")])
    if address := given.get("address"):
        plain = plain_address(address)
        if plain is None:
            raise ValidationError(details=[("address", "Not an IP address")])
        given["address"] = plain


def _let_go(unit: SystemUnit, ctx: RequestContext, given: dict[str, str]) -> int:
    address = given.get("address")
    if "username" in given:
        admin = admins.find(unit, given["username"])
        known = admins.addresses_of(unit, admin.id) if admin else []
        cleared = blocked.clear_admin(unit, given["username"], known, address)
        audit.record_installation(unit, ctx, Event.THROTTLES_CLEARED, cleared=cleared, **given)
    elif "email" in given:
        tenant = by_name(unit, given["client"])
        bound = unit.of(tenant.id)
        user = users.find_by_email(bound, given["email"])
        known = blocked.origins_of(bound, user.id) if user else []
        cleared = blocked.clear_account(unit, tenant.id, email_key(given["email"]), known, address)
        subject = f"user:{user.id}" if user else ""
        audit.record(bound, ctx, Event.THROTTLES_CLEARED, subject, cleared=cleared, **given)
    else:
        cleared = blocked.clear_address(unit, given["address"])
        audit.record_installation(unit, ctx, Event.THROTTLES_CLEARED, cleared=cleared, **given)
    return cleared


_BASE = "/api/admin/throttles"
ROUTES = (
    Route("GET", _BASE, _list, Access.ADMIN, "Counters that hold somebody back now", query=ThrottlesQuery),
    Route("DELETE", _BASE, _clear_all, Access.ADMIN, "Let everybody go whom the throttle holds back"),
    Route("POST", f"{_BASE}/clear", _clear, Access.ADMIN, "Let an account or an address go", limit=AUTH_LIMIT,
          refusals=(NotFound,)),
)  # fmt: skip
