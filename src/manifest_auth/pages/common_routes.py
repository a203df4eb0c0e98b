"""Routes beside every page: the sign-in button, the choice of language, and addresses for password managers."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.errors import NotFound
from manifest_auth.http import Answer, Call, Route
from manifest_auth.http.routes import Access
from manifest_auth.pages import errors, languages
from manifest_auth.pages.call import PageCall, View, found, see_other
from manifest_auth.pages.installation.sign_in import SETUP
from manifest_auth.pages.routing import SIGN_IN, page
from manifest_auth.runtime.settings import why_no_passkeys
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_accounts
from manifest_auth.sign_in.return_addresses import ACCOUNT, is_own_page
from manifest_auth.text.languages import Language


class LanguageForm(msgspec.Struct, frozen=True):
    """``here``: the page that the person is on."""

    lang: Language = "en"
    here: Annotated[str, Meta(max_length=8000)] = "/"


async def _start(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    """A server without a system admin leads to the page that makes the first one."""
    if call.user is None and await admin_accounts.is_setup_open(ctx):
        return found(SETUP)
    return found(ACCOUNT if call.user is not None else SIGN_IN)


async def _choose(ctx: RequestContext, call: PageCall[LanguageForm]) -> View | Answer[None]:
    form = call.fields
    line = languages.cookie_line(form.lang, ctx.services.settings)
    return see_other(form.here if is_own_page(form.here) else "/", (line,))


async def _change_password(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    """A Well-Known URL for Changing Passwords (W3C)."""
    return found(f"{ACCOUNT}/password")


async def _passkey_endpoints(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    """A Well-Known URL for Relying Party Passkey Endpoints (W3C), where password managers look. Raises NotFound where
    browsers make no passkeys."""
    if why := why_no_passkeys(ctx.services.settings):
        raise NotFound(reason=why)
    here = f"{ctx.services.settings.public_url.rstrip('/')}{ACCOUNT}/passkeys"
    headers = ((b"content-type", b"application/json"), (b"cache-control", b"public, max-age=300"))
    return Answer(200, msgspec.json.encode({"enroll": here, "manage": here}), headers)


ROUTES = (
    page("GET", "/", _start, "", "The account, or the way in"),
    page("POST", "/language", _choose, "", "Choose a language"),
    Route("GET", "/.well-known/change-password", _change_password, Access.PAGE, "Where a password is changed",
          refused=errors.page_or_envelope),
    Route("GET", "/.well-known/passkey-endpoints", _passkey_endpoints, Access.PAGE,
          "Where passkeys are set up, for password managers", refused=errors.page_or_envelope),
)  # fmt: skip
