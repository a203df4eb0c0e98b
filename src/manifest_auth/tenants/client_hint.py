"""``X-Client-ID`` beside a credential that names its client: it may only agree."""

from __future__ import annotations

from typing import NamedTuple


class Whose(NamedTuple):
    """The client that a credential turned out to be of."""

    client: str
    tenant_id: int


def agrees(named: str | None, whose: Whose) -> bool:
    """Whether the header agrees with the credential's tenant, by identifier or number."""
    return named is None or named == whose.client or named == str(whose.tenant_id)
