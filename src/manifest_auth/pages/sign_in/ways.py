"""Client and sign-in methods of a sign-in, as the sign-in pages show them."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from manifest_auth import providers, tenants
from manifest_auth.pages.call import PageCall
from manifest_auth.pages.refusals import UnknownClient
from manifest_auth.pages.sign_in import state as states
from manifest_auth.pages.sign_in.state import State
from manifest_auth.runtime.settings import why_no_passkeys
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import return_addresses
from manifest_auth.sign_in.providers import home_realm_discovery
from manifest_auth.sign_in.providers.kinds import start_address
from manifest_auth.tenants import Tenant

SIGN_IN = "/sign-in"


class Way(NamedTuple):
    """A link to a provider."""

    href: str
    name: str


class SignInView(msgspec.Struct, frozen=True):
    """``client``: its name, empty while none is known; ``fixed``: the e-mail address was typed a page before;
    ``password``: whether it is asked for here; ``passkey``: whether one signs in here; ``unknown``: credential id of a
    passkey that nobody has any more; ``fresh``: the flow was begun anew, since what came was old or not ours;
    ``s``: the state for the form; ``change``, ``forgot``: addresses of links."""

    client: str
    s: str
    email: str = ""
    fixed: bool = False
    password: bool = True
    passkey: bool = False
    unknown: str = ""
    ways: tuple[Way, ...] = ()
    fresh: bool = False
    change: str = ""
    forgot: str = ""


async def client_of(ctx: RequestContext, state: State) -> Tenant | None:
    """The client that is meant. Raises UnknownClient."""
    if not state.client:
        return None
    found = await ctx.services.store.read(lambda unit: tenants.find(unit, state.client))
    if found is None:
        raise UnknownClient(reason=f"no client {state.client[:63]!r}")
    return found


def end_of(settings: str, state: State, roles: int = 0, more: tuple[str, ...] = ()) -> str:
    """Where a sign-in ends. ``settings``: the client's, as stored; ``roles``: of the user, where it is known; ``more``:
    addresses of the provider. Raises ValidationError."""
    listed = tenants.return_addresses_for(tenants.settings_of(settings), roles)
    return return_addresses.choose((*more, *listed), state.return_to, state.response)


async def of_provider(ctx: RequestContext, tenant_id: int, provider_id: int | None) -> tuple[str, ...]:
    """The return addresses of the provider that a sign-in came through, in addition to the client's."""
    if provider_id is None:
        return ()
    tenant = ctx.services.store.of(tenant_id)
    found = await tenant.read(lambda unit: providers.find_by_id(unit, provider_id))
    return tuple(found.rules.return_addresses) if found is not None and found.disabled_at is None else ()


def address(path: str, s: str) -> str:
    """A page's address with what the sign-in knows."""
    return f"{path}?s={s}"


async def view_of(
    ctx: RequestContext, call: PageCall[Any], state: State, tenant: Tenant | None, *, fresh: bool = False
) -> SignInView:
    """With a client: all of its ways in on one page. Without: the e-mail address first, then the password."""
    s = states.seal(ctx, call.form_cookie, state)
    others = states.seal(ctx, call.form_cookie, msgspec.structs.replace(state, email="", client=""))
    passkey = not why_no_passkeys(ctx.services.settings)
    if tenant is None:
        return SignInView(
            client="",
            s=s,
            email=state.email,
            fixed=bool(state.email),
            password=bool(state.email),
            passkey=passkey,
            fresh=fresh,
            change=address("/sign-in", others),
            forgot=address("/forgot", s),
        )
    found = await home_realm_discovery.discover(ctx, state.email, tenant.identifier)
    ways = (
        (start_address(ctx, tenant.identifier, way.kind, way.name), way.display_name or way.name)
        for way in found.providers
    )
    return SignInView(
        client=tenants.shown_name(tenant),
        s=s,
        email=state.email,
        password=found.password,
        passkey=passkey and tenants.passkeys_sign_in(tenants.settings_of(tenant.settings)),
        ways=tuple(Way(f"{href}&s={quote(s)}", name) for href, name in ways if href),
        fresh=fresh,
        change=address("/sign-in", others),
        forgot=address("/forgot", s),
    )
