"""All routes of pages and of their files, in one list, with the few routes that have no page of their own."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.errors import NotFound
from manifest_auth.http import Answer, Call, Route
from manifest_auth.http.routes import Access
from manifest_auth.pages import asset_files, errors, languages, step_up
from manifest_auth.pages import devices as _devices
from manifest_auth.pages.account import apps as account_apps
from manifest_auth.pages.account import home, identities, profile, sessions
from manifest_auth.pages.account import second_factor as account_second_factor
from manifest_auth.pages.call import PageCall, View, found, see_other
from manifest_auth.pages.console import apps as console_apps
from manifest_auth.pages.console import audit as console_audit
from manifest_auth.pages.console import (
    branding,
    domains,
    provider_creation,
    providers,
    rules,
    scim,
    service_accounts,
    user_list,
    users,
)
from manifest_auth.pages.console import devices as console_devices
from manifest_auth.pages.console import overview as console_overview
from manifest_auth.pages.installation import activity, admins, clients, settings
from manifest_auth.pages.installation import audit as installation_audit
from manifest_auth.pages.installation import overview as installation_overview
from manifest_auth.pages.installation import sign_in as installation_sign_in
from manifest_auth.pages.routing import ADMIN_OVERVIEW, SIGN_IN, account_page, admin_page, page, resume
from manifest_auth.pages.sign_in import authorize, done, one_time_links, start
from manifest_auth.pages.sign_in import second_factor as sign_in_second_factor
from manifest_auth.runtime.settings import why_no_passkeys
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_accounts
from manifest_auth.sign_in.return_addresses import ACCOUNT, is_own_page
from manifest_auth.text.languages import Language


class LanguageForm(msgspec.Struct, frozen=True):
    """The form for the language. ``here``: the page that the person is on."""

    lang: Language = "en"
    here: Annotated[str, Meta(max_length=8000)] = "/"


async def _start(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    """Shows the start page. Without a system admin, redirects to the page that creates the first one."""
    if call.user is None and await admin_accounts.is_setup_open(ctx):
        return found(installation_sign_in.SETUP)
    return found(ACCOUNT if call.user is not None else SIGN_IN)


async def _choose(ctx: RequestContext, call: PageCall[LanguageForm]) -> View | Answer[None]:
    form = call.fields
    line = languages.cookie_line(form.lang, ctx.services.settings)
    return see_other(form.here if is_own_page(form.here) else "/", (line,))


async def _change_password(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    """Serves the Well-Known URL for Changing Passwords (W3C)."""
    return found(f"{ACCOUNT}/password")


async def _passkey_endpoints(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    """Serves the Well-Known URL for Relying Party Passkey Endpoints (W3C), which password managers read. Raises
    NotFound if browsers can't create passkeys here."""
    if why := why_no_passkeys(ctx.services.settings):
        raise NotFound(reason=why)
    here = f"{ctx.services.settings.public_url.rstrip('/')}{ACCOUNT}/passkeys"
    headers = ((b"content-type", b"application/json"), (b"cache-control", b"public, max-age=300"))
    return Answer(200, msgspec.json.encode({"enroll": here, "manage": here}), headers)


ROUTES = (
    page("GET", "/", _start, "", "The account, or the sign-in page"),
    page("POST", "/language", _choose, "", "Choose a language", form_at="/"),
    account_page("GET", f"{ACCOUNT}/{step_up.RESUME}", resume, "", "Continue with a saved form"),
    admin_page("GET", f"{ADMIN_OVERVIEW}/{step_up.RESUME}", resume, "", "Continue with a saved form"),
    Route(
        "GET",
        "/.well-known/change-password",
        _change_password,
        Access.PAGE,
        "Redirects to the page to change a password",
        refused=errors.page_or_envelope,
    ),
    Route(
        "GET",
        "/.well-known/passkey-endpoints",
        _passkey_endpoints,
        Access.PAGE,
        "Tells password managers where to set up passkeys",
        refused=errors.page_or_envelope,
    ),
    *start.ROUTES,
    *sign_in_second_factor.ROUTES,
    *done.ROUTES,
    *authorize.PAGES,
    *one_time_links.ROUTES,
    *home.ROUTES,
    *profile.ROUTES,
    *account_second_factor.ROUTES,
    *sessions.ROUTES,
    *account_apps.ROUTES,
    *_devices.ROUTES,
    *identities.ROUTES,
    *console_overview.ROUTES,
    *user_list.ROUTES,
    *users.ROUTES,
    *console_devices.ROUTES,
    *console_apps.ROUTES,
    *service_accounts.ROUTES,
    *scim.ROUTES,
    *providers.ROUTES,
    *provider_creation.ROUTES,
    *domains.ROUTES,
    *rules.ROUTES,
    *branding.ROUTES,
    *console_audit.ROUTES,
    *installation_sign_in.ROUTES,
    *installation_overview.ROUTES,
    *activity.ROUTES,
    *clients.ROUTES,
    *admins.ROUTES,
    *settings.ROUTES,
    *installation_audit.ROUTES,
    *asset_files.ROUTES,
)
