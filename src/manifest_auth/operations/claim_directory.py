"""A client claims a Microsoft directory: the same rule for system admins and for the client's own people."""

from __future__ import annotations

from manifest_auth.audit import Act
from manifest_auth.errors import Conflict, ValidationError
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.tenants.claims import directories


def claim(unit: TenantUnit, ctx: RequestContext, directory: str, cloud: str) -> directories.Claim:
    """Claims a directory for the client. ``directory``: GUID; ``cloud``: name of a Microsoft cloud, empty for the
    installation's. Raises ValidationError, Conflict."""
    step_up.check(ctx, Act.DOMAINS)
    directory = directories.check(directory)
    try:
        ctx.services.microsoft.clouds.get(cloud)
    except ValueError as error:
        raise ValidationError(details=[("cloud", "This installation has no such cloud")]) from error
    if not directories.claim(unit, ctx, directory, cloud):
        raise Conflict("The client has claimed this directory already")
    return directories.get(unit, directory)
