"""The page that one-time links lead to: to choose a password, go on at a provider, or confirm or undo an address.

The token stands behind ``#`` in the address: the browser sends it to nobody, so no log has it; the page's script sends
it in a body. Nothing is loaded from elsewhere, and nothing runs but the one script and style that the policy names.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

PAGE = (Path(__file__).parent / "welcome.html").read_bytes()


def _source(element: str) -> str:
    """A policy's name for what stands in the one element of that kind (CSP 3, section 2.3.1)."""
    _, _, rest = PAGE.partition(f"<{element}>".encode())
    inside, _, _ = rest.partition(f"</{element}>".encode())
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; script-src {_source('script')}; style-src {_source('style')}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
