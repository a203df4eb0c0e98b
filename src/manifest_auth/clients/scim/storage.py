"""Storage of ``scim2-server``: SCIM resources of one connection, in one unit of work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

import orjson
from scim2_models import (
    Meta,
    Path,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    TooManyException,
)
from scim2_models.path import Comparison, LogicalExpr, ValuePath
from scim2_server.storage import ScimStorage, SearchPage

from manifest_auth.accounts.provisioning.connections import Connection
from manifest_auth.clients.scim import groups, users
from manifest_auth.clients.scim.groups import ScimGroup
from manifest_auth.clients.scim.schemas import PROVIDER
from manifest_auth.clients.scim.users import Address, Draft, ScimUser
from manifest_auth.errors import NotFound
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text.canonical import email_key

#: How many resources a filter that no statement can express is evaluated for.
MOST_EVALUATED = 10_000
#: Members of a user that are not in the stored JSON.
_COLUMNS = ("id", "externalId", "userName", "active", "groups", "meta")


class Storage(ScimStorage):
    """The resources of a connection. ``writes``: what is read can be changed, so it is locked; ``address_of``: the
    address of an account."""

    def __init__(
        self,
        unit: TenantUnit,
        ctx: RequestContext,
        connection: Connection,
        *,
        writes: bool = True,
        address_of: Callable[[Draft], str] = users.address_of,
    ) -> None:
        self._unit, self._ctx, self._connection = unit, ctx, connection
        self._writes, self._address_of = writes, address_of
        #: The only members of a group that a PATCH can change; None for all. See :func:`.protocol.named_members`.
        self.named: Collection[str] | None = None

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        number = _number(resource_id)
        if _is_group(resource_type):
            group = groups.get(self._unit, self._connection, number, lock=self._writes)
            among = None if self.named is None else [int(one) for one in self.named if one.isdecimal()]
            if response_parameters is not None and not _keeps_members(response_parameters):
                among = []
            return self._groups([group], among)[0]
        return self._users([users.get(self._unit, self._connection, number, lock=self._writes)])[0]

    def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        of_groups = _is_group(resource_types[0])
        rows: Any = groups if of_groups else users
        offset = search_request.start_index_0 or 0
        found = _Conditions.of(search_request.filter, of_groups=of_groups)
        if found is None or search_request.sort_by is not None:
            return self._evaluated(rows, search_request, offset)
        names, values = frozenset(found.values), found.values
        if found.is_empty:
            return SearchPage(0, [])
        values = {name: value for name, value in values.items() if value is not None}
        total = rows.count(self._unit, self._connection, names, **values)
        most = total if search_request.count is None else search_request.count
        listed = rows.page(self._unit, self._connection, names, offset, most, **values) if offset < total else []
        if of_groups:
            return SearchPage(total, self._groups(listed, None if _keeps_members(search_request) else []))
        return SearchPage(total, self._users(listed))

    def _evaluated(self, rows: Any, search_request: SearchRequest[Any], offset: int) -> SearchPage:
        """Evaluates a filter for every resource."""
        if rows.count(self._unit, self._connection) > MOST_EVALUATED:
            raise TooManyException(detail=f"This filter can't be used with more than {MOST_EVALUATED} resources")
        listed = rows.page(self._unit, self._connection, frozenset(), 0, MOST_EVALUATED)
        wanted = search_request.filter
        if rows is groups:
            is_of_members = _keeps_members(search_request) or "members" in (wanted or "").lower()
            resources = self._groups(listed, None if is_of_members else [])
        else:
            resources = self._users(listed)
        found = search_request.sort([one for one in resources if wanted is None or wanted.match(one)])
        until = None if search_request.count is None else offset + search_request.count
        return SearchPage(len(found), found[offset:until])

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        given: Any = resource
        if _is_group(resource_type):
            named, members = (given.display_name or "", given.external_id), _members(given)
            made = groups.create(self._unit, self._ctx, self._connection, *named, members)
        else:
            draft = draft_of(given)
            made = users.create(self._unit, self._ctx, self._connection, draft, self._address_of(draft))
        return self.get(resource_type, str(made))

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        given: Any = resource
        number = self._checked(resource_type, given.id, expected_version)
        if _is_group(resource_type):
            group = groups.get(self._unit, self._connection, number, lock=True)
            among = None if self.named is None else [int(one) for one in self.named if one.isdecimal()]
            before, after = set(groups.members(self._unit, number, among)), _members(given)
            named = given.display_name or "", given.external_id
            groups.change(self._unit, self._ctx, self._connection, group, *named, after - before, before - after)
        else:
            draft = draft_of(given)
            address = self._address_of(draft)
            users.change(self._unit, self._ctx, self._connection, number, draft, address)
        return self.get(resource_type, str(number))

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        number = self._checked(resource_type, resource_id, expected_version)
        if _is_group(resource_type):
            group = groups.get(self._unit, self._connection, number, lock=True)
            groups.remove(self._unit, self._ctx, self._connection, group)
        else:
            users.remove(self._unit, self._ctx, self._connection, number)

    def _checked(self, resource_type: ResourceType, resource_id: str, expected_version: str | None) -> int:
        """Locks a resource, and returns its number. Raises NotFound or PreconditionFailedException."""
        number, rows = _number(resource_id), groups if _is_group(resource_type) else users
        row = rows.get(self._unit, self._connection, number, lock=True)
        if expected_version is not None and _version(row.version) != expected_version:
            raise PreconditionFailedException
        return number

    def _users(self, rows: Sequence[ScimUser]) -> list[Resource[Any]]:
        of: dict[int, list[dict[str, str]]] = {}
        for one in users.groups_of(self._unit, self._connection, [row.user_id for row in rows]):
            shown = {"value": str(one.group_id), "$ref": f"Groups/{one.group_id}", "display": one.display_name}
            of.setdefault(one.user_id, []).append(shown | {"type": "direct"})
        found = []
        for row in rows:
            members = {
                **orjson.loads(row.attributes),
                "id": str(row.user_id),
                "externalId": row.external_id,
                "userName": row.user_name,
                "active": row.off_at is None,
                "groups": of.get(row.user_id),
            }
            found.append(_resource("User", members, row.version, row.created_at, row.changed_at))
        return found

    def _groups(self, rows: Sequence[ScimGroup], among: Collection[int] | None) -> list[Resource[Any]]:
        """Returns groups with their members, or those ``among`` some users."""
        found = []
        for row in rows:
            members = [] if among is not None and not among else groups.members(self._unit, row.id, among)
            shown = [{"value": str(one), "$ref": f"Users/{one}", "type": "User"} for one in members]
            given = {"id": str(row.id), "externalId": row.external_id, "displayName": row.display_name}
            given["members"] = shown or None  # type: ignore[assignment]  # of another type
            found.append(_resource("Group", given, row.version, row.created_at, row.changed_at))
        return found


def draft_of(user: Any) -> Draft:
    """Returns a user as the rules read it."""
    kept = {name: value for name, value in user.model_dump().items() if name not in _COLUMNS}
    name = user.name
    return Draft(
        user_name=user.user_name or "",
        external_id=user.external_id or None,
        active=user.active,
        emails=tuple(
            Address(one.value, (one.type or "").lower(), bool(one.primary)) for one in user.emails or () if one.value
        ),
        first_name=(name and name.given_name) or "",
        last_name=(name and name.family_name) or "",
        title=user.title or "",
        roles=tuple(one.value for one in user.roles or () if one.value),
        attributes=orjson.dumps(kept, default=str).decode(),
    )


def _resource(name: str, members: dict[str, Any], version: int, created_at: int, changed_at: int) -> Resource[Any]:
    made = cast(type[Resource[Any]], PROVIDER.model_for(name)).model_validate(members)
    at, changed = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (created_at, changed_at))
    made.meta = Meta(resource_type=name, created=at, last_modified=changed, version=_version(version))
    return made


def _version(version: int) -> str:
    return f'W/"{version}"'


def _is_group(resource_type: ResourceType) -> bool:
    return resource_type.name == "Group"


def _number(resource_id: str) -> int:
    """Returns a number from an ID. Raises NotFound."""
    if resource_id.isascii() and resource_id.isdigit() and len(resource_id) < 19 and resource_id[0] != "0":
        return int(resource_id)
    raise NotFound()


def _members(group: Any) -> set[int]:
    """Returns the IDs of a group's members. Raises ValidationError."""
    found = set()
    for one in group.members or ():
        try:
            found.add(_number(one.value or ""))
        except NotFound:
            raise groups.unknown_member(one.value or "") from None
    return found


def _keeps_members(parameters: ResponseParameters[Any]) -> bool:
    """Whether a response has the members of groups."""
    chosen = {"attributes": parameters.attributes, "excluded_attributes": parameters.excluded_attributes}
    paths = Path[PROVIDER.model_for("Group")].iter_paths(include_subattributes=False, **chosen)  # type: ignore[misc]  # known at run time
    return any(str(path).lower().endswith("members") for path in paths)


class _Conditions(NamedTuple):
    """Conditions of a search in the store, by name, with the values of their parameters; None for those without one.
    ``is_empty``: nothing can meet them."""

    values: dict[str, Any]
    is_empty: bool = False

    @classmethod
    def of(cls, wanted: Any, *, of_groups: bool) -> _Conditions | None:
        """Returns the conditions of a filter. None if the store can't express it."""
        if wanted is None:
            return cls({})
        nodes = _equations(wanted.ast)
        if nodes is None:
            return None
        values: dict[str, Any] = {}
        is_empty = False
        for path, value in nodes:
            name = (_OF_GROUPS if of_groups else _OF_USERS).get(path)
            if name is None or value is None:
                return None
            if name in ("id", "member"):
                is_empty |= not (str(value).isdecimal() and len(str(value)) < 19 and str(value)[0] != "0")
                value = 0 if is_empty else int(value)
            elif name in ("user_name", "display_name", "email"):
                value = email_key(str(value))
            elif name == "active":
                name, value = ("active" if value else "inactive"), None
            elif name == "email_type":
                value = str(value).lower()
            if name in values or (name == "inactive" and "active" in values):
                return None
            values[name] = value
        return cls(values, is_empty)


_USER, _GROUP = (f"urn:ietf:params:scim:schemas:core:2.0:{name}:" for name in ("user", "group"))
_BOTH = {"externalid": "external_id", "id": "id"}
_OF_USERS = {
    **_BOTH,
    "username": "user_name",
    "active": "active",
    "emails": "email",
    "emails.value": "email",
    "emails[type": "email_type",
}
_OF_GROUPS = {**_BOTH, "displayname": "display_name", "members": "member", "members.value": "member"}


def _equations(node: Any) -> list[tuple[str, Any]] | None:
    """Returns the comparisons with ``eq`` that all must hold; None for any other filter."""
    if isinstance(node, Comparison) and node.op == "eq":
        return [(_path(node.attr_path), node.value)]
    if isinstance(node, LogicalExpr) and node.op == "and":
        found: list[tuple[str, Any]] = []
        for term in node.terms:
            more = _equations(term)
            if more is None:
                return None
            found += more
        return found
    if isinstance(node, ValuePath) and _path(node.attr_path) == "emails":
        inner = _equations(node.val_filter)
        named = {"type": "emails[type", "value": "emails"}
        if inner is not None and sorted(path for path, _ in inner) == ["type", "value"]:
            return [(named[path], value) for path, value in inner]
    return None


def _path(path: Any) -> str:
    text = str(path).lower()
    return text.removeprefix(_USER).removeprefix(_GROUP)
