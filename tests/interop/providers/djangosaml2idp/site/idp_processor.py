"""The attributes that the site asserts besides the package's mapping: the names of a person's groups."""

# mypy: ignore-errors
from __future__ import annotations

from djangosaml2idp.processors import BaseProcessor


class WithGroups(BaseProcessor):
    """The package's processor with the attribute ``groups``; members of the group Barred can't use our server."""

    def has_access(self, request) -> bool:
        return not request.user.groups.filter(name="Barred").exists()

    def create_identity(self, user, sp_attribute_mapping) -> dict:
        groups = list(user.groups.order_by("name").values_list("name", flat=True))
        return {**super().create_identity(user, sp_attribute_mapping), **({"groups": groups} if groups else {})}
