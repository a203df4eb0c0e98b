"""Documents that are the same for all who ask: each is kept once as it is, and once compressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from manifest_auth.http.accept import weights
from manifest_auth.http.answers import Answer, Header
from manifest_auth.http.head import Head

VARY: Header = (b"vary", b"Accept-Encoding")


class Document(NamedTuple):
    body: bytes
    compressed: bytes

    @classmethod
    def of(cls, body: bytes) -> Document:
        import gzip  # with the first document: most processes never show one

        return cls(body, gzip.compress(body, 9, mtime=0))

    def answer(self, head: Head, headers: Sequence[Header], policy: str | None = None) -> Answer[None]:
        """The document, compressed for a caller who accepts that. ``policy``: as in :class:`.answers.Answer`."""
        if weights(head.line(b"accept-encoding")).get("gzip", 0.0) > 0:
            return Answer(200, self.compressed, (*headers, VARY, (b"content-encoding", b"gzip")), policy)
        return Answer(200, self.body, (*headers, VARY), policy)
