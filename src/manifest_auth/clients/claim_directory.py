"""A client claims a Microsoft directory: the same rule for system admins and for the client's own people."""

from __future__ import annotations

from manifest_auth import providers
from manifest_auth.audit import Act
from manifest_auth.clients import admins_way_in
from manifest_auth.errors import Conflict, ValidationError
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.tenants.claims import directories
from manifest_auth.text.models import ErrorCollector


def claim(unit: TenantUnit, ctx: RequestContext, directory: str, cloud: str) -> directories.Claim:
    """Claims a directory for the client. ``directory``: GUID; ``cloud``: name of a Microsoft cloud, empty for the
    installation's. Raises ValidationError, Conflict."""
    step_up.check(ctx, Act.DOMAINS)
    with ErrorCollector() as each:
        with each:
            directory = directories.check(directory)
        with each:
            _check_cloud(ctx, cloud)
    if not directories.claim(unit, ctx, directory, cloud):
        raise Conflict("The client has claimed this directory already")
    return directories.get(unit, directory)


def release(unit: TenantUnit, ctx: RequestContext, directory: str) -> None:
    """Releases a claim, with which tokens of the directory end. Raises NotFound, and what
    :func:`.admins_way_in.check_stays` does."""
    step_up.check(ctx, Act.DOMAINS)
    of_tokens = providers.find_with_issuer(unit, "entra", directory)
    if of_tokens is not None:
        admins_way_in.check_stays(unit, ctx, of_tokens)
    directories.release(unit, ctx, directory)


def _check_cloud(ctx: RequestContext, cloud: str) -> None:
    try:
        ctx.services.microsoft.clouds.get(cloud)
    except ValueError as error:
        raise ValidationError(details=[("cloud", "This installation has no such cloud")]) from error
