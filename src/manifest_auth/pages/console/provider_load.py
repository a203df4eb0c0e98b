"""One provider as its pages need it, and what they have in common."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import msgspec

from manifest_auth import accounts, providers
from manifest_auth.errors import ValidationError
from manifest_auth.operations.providers import metadata
from manifest_auth.operations.providers.models import ProviderChange, provider_data
from manifest_auth.operations.providers.save import change, draft_of
from manifest_auth.pages.call import View
from manifest_auth.pages.console import frame, provider_forms
from manifest_auth.pages.console.provider_forms import TheirsForm
from manifest_auth.pages.console.provider_presets import fitting
from manifest_auth.pages.console.provider_views import Head, path_of, steps_of
from manifest_auth.pages.routing import page
from manifest_auth.permissions import Permission
from manifest_auth.providers import Provider
from manifest_auth.providers.settings import Rules
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.text.models import convert

#: A page for those who manage the settings.
settings_page = partial(page, permission=Permission.SETTINGS_MANAGE)


class Loaded(NamedTuple):
    """``data``: as the API shows it; ``members``: the same as on the wire."""

    provider: Provider
    data: Any
    members: dict[str, Any]

    @property
    def signs_in(self) -> bool:
        """Whether people sign in there; else apps show its tokens."""
        return bool(KINDS[self.provider.kind].start)

    def head(self, step: str, *, saved: bool = False) -> Head:
        provider = self.provider
        path = path_of(provider.name)
        return Head(
            name=provider.name,
            display_name=provider.display_name,
            preset=fitting(provider.kind, provider.issuer),
            path=path,
            steps=steps_of(path, signs_in=self.signs_in),
            current=step,
            is_on=provider.disabled_at is None,
            reaches_admins=bool(provider.reaches_admins),
            gives=() if provider.reaches_admins else tuple(_gives(provider.rules)),
            saved=saved,
        )


def _gives(rules: Rules) -> Iterator[str]:
    """Whom the provider lets in with which roles, in words."""
    if rules.create_users:
        yield "It makes accounts for people who have none."
    if rules.default_roles:
        yield f"Everyone who signs in with it gets: {', '.join(role.value for role in rules.default_roles)}."
    for one in rules.group_roles:
        yield f"The group {one.group} gives: {', '.join(role.value for role in one.roles)}."
    if rules.second_factor == "claims":
        yield f"It answers for the second factor where it sends: {', '.join((*rules.amr, *rules.acr)) or 'nothing'}."
    if rules.domains:
        yield f"It vouches for addresses of: {', '.join(rules.domains)}."


async def load(ctx: RequestContext, name: str) -> Loaded:
    """Raises NotFound."""
    provider = await ctx.store.read(lambda unit: providers.get(unit, name))
    data = provider_data(ctx, ctx.user.client, provider)
    return Loaded(provider, data, msgspec.to_builtins(data))


async def save(ctx: RequestContext, name: str, members: dict[str, Any]) -> None:
    """Raises NotFound, ValidationError, Conflict, Forbidden."""
    with at_fields():
        draft, by_admin = draft_of(convert(members, ProviderChange)), accounts.is_admin(ctx)
        await ctx.store.write(lambda unit: change(unit, ctx, name, draft, by_admin=by_admin))


async def theirs(ctx: RequestContext, kind: str, form: TheirsForm) -> dict[str, Any]:
    """The members that the form of the second step gives, with metadata from its address. Raises ValidationError."""
    address = getattr(form, metadata.MEMBER.replace(".", "_")).strip()
    document = await metadata.fetch(ctx, address, by_admin=accounts.is_admin(ctx)) if address else ""
    name = {"displayName": form.displayName.strip()} if form.displayName.strip() else {}
    return {**name, **provider_forms.body_of(kind, form, document)}


async def view(ctx: RequestContext, model: object, template: str = "") -> View:
    """A page in the looks of the caller's client."""
    made = await frame.shown(ctx, lambda unit: model)
    made.template = template
    return made


@contextlib.contextmanager
def at_fields() -> Iterator[None]:
    """A refusal inside names the form's field in place of one of the lines in it."""
    try:
        yield
    except ValidationError as error:
        details = [(re.sub(r"\[.*", "", field), text) for field, text in error.details]
        raise ValidationError(error.message, details=details, reason=error.reason) from error
