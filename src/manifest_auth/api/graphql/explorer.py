"""The page at ``/explorer``, to try queries and read the schema in a browser, without internet.

It exists where introspection is on, and calls the same routes as every caller, with the visitor's rights.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from manifest_auth.errors import NotFound
from manifest_auth.http import Access, Answer, Call, Route, page
from manifest_auth.services import RequestContext

_PAGE = (Path(__file__).parent / "explorer.html").read_bytes()


def _digest(tag: bytes) -> str:
    found = re.search(rb"<%b>(.*?)</%b>" % (tag, tag), _PAGE, re.DOTALL)
    assert found is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1]).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; script-src {_digest(b'script')}; style-src {_digest(b'style')}; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


async def _explorer(ctx: RequestContext, _call: Call[None]) -> Answer[None]:
    if not ctx.services.settings.introspects:
        raise NotFound()
    return page(_PAGE, POLICY)


ROUTES = (
    Route("GET", "/explorer", _explorer, Access.OPEN, "Try GraphQL in a browser; where introspection is on",
          refusals=(NotFound,), sends=("text/html",)),
)  # fmt: skip
