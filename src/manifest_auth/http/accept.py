"""``Accept`` headers: lists of choices with weights (RFC 9110, sections 12.4.2 and 12.5)."""

from __future__ import annotations

_JSON, _HTML = "application/json", "text/html"


def weights(header: str) -> dict[str, float]:
    """The choices of an ``Accept`` or ``Accept-Language`` header, in lower case and without parameters, each with its
    best weight; an invalid weight counts as 0."""
    found: dict[str, float] = {}
    for item in header.lower().split(","):
        choice, *parameters = (part.strip() for part in item.split(";"))
        if choice:
            found[choice] = max(found.get(choice, 0.0), _weight(parameters))
    return found


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0) if value.strip() != "nan" else 0.0
            except ValueError:
                return 0.0
    return 1.0


def prefers_html(header: str | None) -> bool:
    """Whether ``text/html`` ranks above JSON, as in browsers' requests. ``header``: ``Accept``."""
    if not header:
        return False
    found = weights(header)
    return _of(found, _HTML) > _of(found, _JSON)


def _of(found: dict[str, float], kind: str) -> float:
    """The weight of the most specific range that matches."""
    group = kind.partition("/")[0]
    return next((found[name] for name in (kind, f"{group}/*", "*/*") if name in found), 0.0)
