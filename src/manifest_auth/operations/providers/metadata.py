"""A SAML provider's metadata document, fetched from the address that the provider publishes it at."""

from __future__ import annotations

from typing import Final

from manifest_auth.errors import ValidationError
from manifest_auth.operations.providers.diagnose import outgoing_for
from manifest_auth.runtime.outgoing import NoPublicAddress, Unreachable
from manifest_auth.services import RequestContext
from manifest_auth.text.canonical import check_web_address

MEMBER: Final = "saml.metadataUrl"
LONGEST: Final = 512 * 1024


async def fetch(ctx: RequestContext, address: str, *, by_admin: bool) -> str:
    """The document as text; its signature is not looked at, and nothing is stored. ``by_admin``: as for
    :func:`.diagnose`. Raises ValidationError that names :data:`MEMBER`."""
    check_web_address(address, MEMBER)
    try:
        async with outgoing_for(ctx, by_admin=by_admin) as outgoing:
            outgoing.check(address)
            reply = await outgoing.get(address, deadline=outgoing.deadline(ctx.user.tenant_id), call="metadata")
    except ValueError as error:
        raise _refused(f"The address {error}") from error
    except NoPublicAddress as error:
        raise _refused(f"{error}. Only an Admin can fetch it, or paste the document instead") from None
    except Unreachable as error:
        raise _refused(f"The document cannot be fetched: {error}") from error
    if reply.status != 200:
        raise _refused(f"The address answers with status {reply.status}, and no document")
    if len(reply.body) > LONGEST:
        raise _refused(f"The document is longer than {LONGEST // 1024} KiB")
    try:
        return reply.body.decode()
    except UnicodeDecodeError as error:
        raise _refused("The document is not UTF-8") from error


def _refused(sentence: str) -> ValidationError:
    return ValidationError(details=[(MEMBER, sentence)])
