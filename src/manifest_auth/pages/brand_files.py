"""``/assets/brand/CLIENT/HASH.png`` and ``.css``: a client's logo, and the stylesheet with its colours.

Anyone may fetch them, as the sign-in page shows them. They are no scripts, whatever their bytes are: their kind is said
and not guessed (``nosniff``), and the picture was put together of what a picture needs alone.
"""

from __future__ import annotations

import re

from manifest_auth import tenants
from manifest_auth.errors import NotFound
from manifest_auth.http import Access, Answer, Call, Route
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import accent_colours, logos

_NAME = re.compile(r"([0-9a-f]{16})\.(png|css)\Z")
_TYPES = {"png": b"image/png", "css": b"text/css; charset=utf-8"}
_FOR_GOOD, _SHORTLY = b"public, max-age=31536000, immutable", b"public, max-age=60"


async def _file(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    name = _NAME.match(call.path["file"])
    if name is None:
        raise NotFound()
    asked, kind = name.groups()

    def read(unit: SystemUnit) -> tuple[str, bytes]:
        tenant = tenants.get_named(unit, call.path["client"])
        if kind == "png":
            found = logos.bytes_of(unit.of(tenant.id))
        else:
            accent = tenants.settings_of(tenant.settings).branding.accent
            sheet = accent_colours.stylesheet(accent) if accent else None
            found = (sheet.hash, sheet.text) if sheet is not None else None
        if found is None:
            raise NotFound()
        return found

    hash_, body = await ctx.services.store.read(read)
    caching = _FOR_GOOD if asked == hash_ else _SHORTLY
    return Answer(200, body, ((b"content-type", _TYPES[kind]), (b"cache-control", caching)))


ROUTES = (
    Route("GET", "/assets/brand/{client}/{file}", _file, Access.OPEN, "A client's logo or colours, for its pages",
          sends=("image/png", "text/css"), refusals=(NotFound,), operation="getBrandFile"),
)  # fmt: skip
