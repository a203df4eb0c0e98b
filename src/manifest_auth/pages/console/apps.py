"""``/console/apps``: apps that sign users in through this server, their secrets, and their users."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth.accounts import apps, users
from manifest_auth.accounts.apps import App, AppSecret, Kind
from manifest_auth.accounts.service_accounts import key_set_in
from manifest_auth.accounts.service_accounts.management import DEFAULT_OVERLAP_H
from manifest_auth.errors import ValidationError, existing
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash, words
from manifest_auth.pages.call import Confirmation, PageCall, View, chosen
from manifest_auth.pages.console import frame
from manifest_auth.pages.console.frame import RolesForm, boxes
from manifest_auth.pages.console.service_accounts import OVERLAPS
from manifest_auth.pages.routing import settings_page
from manifest_auth.services import RequestContext
from manifest_auth.sessions import app_sessions, tokens
from manifest_auth.store import TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several

APPS_PATH = "/console/apps"
NEW, APP_PATH = f"{APPS_PATH}/new", f"{APPS_PATH}/{{app}}"
_MOST_USERS = 50
Lines = Annotated[str, Meta(max_length=50_000)]
KINDS: dict[Kind, tuple[str, str]] = {
    "web": (_("Web application"), _("Runs on a server and keeps a secret. For example, Django or Grafana.")),
    "browser": (_("Single-page app"), _("Runs in the browser and has no secret. For example, React or Vue.")),
    "native": (_("Desktop or mobile app"), _("Installed on a user's device. It has no secret.")),
    "device": (_("Device"), _("Has no browser. The user approves it elsewhere. For example, a headset.")),
}
DONE = {
    "created": _("App added."),
    "changed": _("Changes saved. They take effect immediately."),
    "revoked": _("Revoked. It no longer works."),
    "removed": _("App removed. Its sessions ended."),
}


class AppForm(RolesForm, frozen=True, rename=apps.wire_name, kw_only=True):
    """The form of an app. Lists have one item per line; ``jwks``: JSON; ``act``: one of :data:`_ACTS`; ``of``: ID of a
    secret."""

    act: str = ""
    of: fields.TypedToken = ""
    overlap_hours: int = DEFAULT_OVERLAP_H
    kind: str = ""
    name: Annotated[str, Meta(max_length=200)] = ""
    redirect_uris: Lines = ""
    post_logout_uris: Lines = ""
    allowed_origins: Lines = ""
    scopes: Lines = "openid profile email"
    consent: str = ""
    second_factor: str = ""
    access_s: int = 900
    refresh_days: int = 30
    id_token_alg: str = "RS256"  # noqa: S105 - an algorithm
    backchannel_uri: Lines = ""
    jwks: Lines = ""

    def given(self, kind: str) -> dict[str, Any]:
        """Returns the settings in the form that :func:`.apps.create_app` accepts. Raises ValidationError."""
        values = {name: text.strip() if isinstance(text := getattr(self, name), str) else text for name in apps.GIVEN}
        values |= {name: values[name].split() for name in apps.LISTS}
        values |= {name: bool(values[name]) for name in ("consent", "second_factor")}
        values |= {"backchannel_uri": values["backchannel_uri"] or None, "jwks": key_set_in(self.jwks)}
        if kind == "device":
            return {"name": values["name"]}
        return {name: value for name, value in values.items() if kind != "browser" or name != "refresh_days"}


def _typed_of(app: App) -> AppForm:
    """Returns the initial values of an app's form; its roles are checkboxes."""
    values: dict[str, Any] = {name: getattr(app, name) or "" for name in apps.GIVEN if name != "roles"}
    lines = {name: values[name].replace(" ", "\n") for name in apps.LISTS if name != "scopes"}
    return AppForm(**values | lines | {"jwks": msgspec.json.format(app.jwks, indent=2) if app.jwks else ""})


@brands.shows
def _list(ctx: RequestContext, call: PageCall[None], unit: TenantUnit) -> SimpleNamespace:
    return SimpleNamespace(apps=apps.list_apps(unit), kinds=KINDS, most=apps.MOST)


async def _new(ctx: RequestContext, call: PageCall[AppForm]) -> View | Answer[None]:
    """Creates an app. Without a kind, the page first asks for it."""
    typed = call.fields
    kind = typed.kind if typed.kind in KINDS else ""
    return brands.own_page(
        ctx, path=NEW, kind=kind, kinds=KINDS, typed=typed, boxes=boxes(typed.roles, admin=True), bounds=apps
    )


async def _create(ctx: RequestContext, call: PageCall[AppForm]) -> View | Answer[None]:
    form = call.fields
    kind = next((kind for kind in KINDS if kind == form.kind), None)
    if kind is None:
        raise ValidationError(details=[("kind", _("Choose where the app runs."))])
    with frame.naming_lines():
        made = await ctx.store.write(lambda unit: apps.create_app(unit, ctx, kind, form.given(kind)))
    return flash.after(ctx, APP_PATH.format(app=made.id), "created")


@brands.shows
def _show(ctx: RequestContext, call: PageCall[AppForm | None], unit: TenantUnit) -> SimpleNamespace:
    typed = call.fields if call.fields and call.fields.act == "change" else None
    app = apps.get_app(unit, call.path["app"])
    grants = apps.list_grants_of(unit, app.id, _MOST_USERS)
    return SimpleNamespace(
        path=APP_PATH.format(app=app.id),
        app=app,
        kind=app.kind,
        kinds=KINDS,
        issuer=tokens.app_issuer(ctx.services.settings.oauth_issuer, app.client),
        typed=typed or _typed_of(app),
        boxes=boxes(typed.roles if typed else app.roles, admin=True),
        bounds=apps,
        secrets=apps.list_secrets(unit, ctx.now, app.id),
        grants=grants,
        emails={user.id: user.email for user in users.get_named(unit, [one.user_id for one in grants])},
        users=apps.count_grants_of(unit, app.id),
        once=call.shown_as(AppSecret),
        overlaps=OVERLAPS,
        default_overlap=DEFAULT_OVERLAP_H,
    )


async def _confirm(ctx: RequestContext, call: PageCall[AppForm]) -> Confirmation | None:
    form = call.fields

    def work(unit: TenantUnit) -> Confirmation | None:
        app = apps.get_app(unit, call.path["app"])
        number = app_sessions.count_of_app(unit, app.id, ctx.now)
        if form.act == "revoke":
            hints = (one.hint for one in apps.list_secrets(unit, ctx.now, app.id) if one.id == form.of)
            return words.REVOKES._replace(name=existing(next(hints, None)))
        if form.act == "change" and number and apps.is_narrower(app, apps.changed(app, form.given(app.kind))):
            effects = (words.ends_sessions(number), _("Users who can still use the app can sign in again."))
            return Confirmation(_("Restrict %(name)s?"), effects, _("Save changes"), name=app.name)
        if form.act != "remove":
            return None
        people = apps.count_grants_of(unit, app.id)
        lost = several("%(number)d user loses access to it.", "%(number)d users lose access to it.", people)
        return Confirmation(_("Remove %(name)s?"), (words.ends_sessions(number), lost), _("Remove app"), name=app.name)

    with frame.naming_lines():
        return await ctx.store.read(work)


async def _act(ctx: RequestContext, call: PageCall[AppForm]) -> View | Answer[None]:
    app_id, form, path = call.path["app"], call.fields, APP_PATH.format(app=call.path["app"])
    done, work = chosen(_ACTS, form.act)
    with frame.naming_lines():
        outcome = await ctx.store.write(lambda unit: work(unit, ctx, app_id, form))
    if isinstance(outcome, AppSecret):
        return call.show_once(path, outcome)
    return flash.after(ctx, APPS_PATH if done == "removed" else path, done)


def _change(unit: TenantUnit, ctx: RequestContext, app_id: str, form: AppForm) -> None:
    apps.change_app(unit, ctx, app_id, form.given(apps.get_app(unit, app_id).kind))


def _secret(unit: TenantUnit, ctx: RequestContext, app_id: str, form: AppForm) -> AppSecret:
    return apps.create_secret(unit, ctx, app_id, in_place_of=form.of, overlap_h=form.overlap_hours)


#: By action, the keyword of the result and the function, which returns a secret that is shown once, or an ignored
#: value.
_ACTS: dict[str, tuple[str, Callable[[TenantUnit, RequestContext, str, AppForm], object]]] = {
    "change": ("changed", _change),
    "remove": ("removed", lambda unit, ctx, app, form: apps.remove_app(unit, ctx, app)),
    "secret": ("", _secret),
    "revoke": ("revoked", lambda unit, ctx, app, form: apps.revoke_secret(unit, ctx, app, form.of)),
}
_NEW_TEMPLATE, _TEMPLATE = "console/app_new.html", "console/app.html"

ROUTES = (
    settings_page("GET", APPS_PATH, _list, "console/apps.html", "A client's apps", said=DONE),
    settings_page("GET", NEW, _new, _NEW_TEMPLATE, "Choose the kind of a new app, and enter its settings"),
    settings_page("POST", NEW, _create, _NEW_TEMPLATE, "Create an app"),
    settings_page("GET", APP_PATH, _show, _TEMPLATE, "Get an app, with its secrets and users", said=DONE),
    settings_page(
        "POST",
        APP_PATH,
        _act,
        _TEMPLATE,
        "Change or remove an app; create, rotate, and revoke secrets",
        confirms=_confirm,
    ),
)
