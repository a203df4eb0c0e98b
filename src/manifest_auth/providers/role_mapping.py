"""From a provider's groups to roles. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from manifest_auth.permissions import mask_of
from manifest_auth.providers.settings import Rules


def mapped_roles(settings: Rules, groups: Iterable[str]) -> int:
    """The bit mask of roles that a person with those groups gets.

    A group counts as it is written, case and all: one that merely resembles a listed one gives nothing. White space
    around either does not count, since providers wrap texts; a separator counts only where the provider has one.
    """
    held: set[str] = set()
    for text in groups:
        parts = text.split(settings.group_separator) if settings.group_separator else [text]
        held.update(part.strip() for part in parts)
    held.discard("")
    roles = set(settings.default_roles)
    for line in settings.group_roles:
        if line.group.strip() in held:
            roles.update(line.roles)
    return mask_of(roles)
