"""Users of a client: rows, lists, look-up by email, passwords, verified addresses, and the roles that they have.

Owns ``users`` and ``password_history``. Never computes a hash, opens a session, or checks ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

from sqlalchemy import Integer, Text, and_, bindparam, case, delete, func, insert, or_, select, update

from manifest_auth.accounts import factors
from manifest_auth.context import PERSON, SERVICE, Principal
from manifest_auth.errors import Conflict, existing
from manifest_auth.licence import SeatCounter
from manifest_auth.permissions import Role
from manifest_auth.sessions import app_sessions
from manifest_auth.store import (
    Listing,
    SystemUnit,
    TenantScoped,
    TenantUnit,
    among,
    cross_tenant,
    numbers,
    tenant_scoped,
    texts,
)
from manifest_auth.store.tables import domain_owners, known_origins, password_history, tenants, users
from manifest_auth.tenants import Tenant
from manifest_auth.text import fields
from manifest_auth.text.canonical import email_domain, email_key, email_keys
from manifest_auth.text.languages import Language
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ErrorCollector


class User(NamedTuple):
    """A user. ``email_proved_at`` is when someone last followed a link in an email to this address; None for never.
    ``language`` is the user's choice; None for no choice.

    People can enter the members that have a field. Statements, bodies, forms, and the command line read this list here.
    """

    id: int
    tenant_id: int
    email: Annotated[str, fields.EMAIL]
    email_key: str  # lists are sorted by this
    first_name: Annotated[str, fields.FIRST_NAME]
    last_name: Annotated[str, fields.LAST_NAME]
    title: Annotated[str, fields.TITLE]
    roles: int
    password_hash: str | None
    password_changed_at: int | None
    created_at: int
    deactivated_at: int | None
    last_sign_in_at: int | None
    description: Annotated[str, fields.DESCRIPTION]
    email_proved_at: int | None
    language: str | None  # the user's choice
    factors: int = 0  # bit mask of second factors, see accounts/factors
    second_factor_due_at: int | None = None  # when sign-in starts to require one
    kind: str = PERSON  # or SERVICE, which only :func:`find_caller` and :func:`get_named` return
    profile_changed_at: int | None = None  # None: never since the user was created

    @property
    def full_name(self) -> str:
        """The first and last name; empty for a user without them."""
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def has_password(self) -> bool:
        return self.password_hash is not None

    @property
    def is_admin(self) -> bool:
        """Whether this is the account of an active Admin."""
        return self.deactivated_at is None and bool(self.roles & Role.ADMIN.bit)

    @property
    def never_came(self) -> bool:
        """Whether the user was invited, but has neither signed in nor set a password."""
        return self.last_sign_in_at is None and self.password_hash is None


_C = users.c
_ALL = select(*(_C[name] for name in User._fields))
_BY_ID = tenant_scoped(_ALL.where(_C.id == bindparam("id")), User)
_LOCKED = tenant_scoped(_ALL.where(_C.id == bindparam("id")).with_for_update(), User)
_AS_TYPED = bindparam("as_typed", type_=Text())
#: The accounts of an address, by :func:`email_keys`. An exact match of the typed spelling comes first. Accounts that
#: were created when each spelling of a domain counted as a separate address stay separate.
IS_OF_EMAIL = _C.email_key.in_([bindparam("email_key"), _AS_TYPED, bindparam("in_ascii")])
_BY_EMAIL = tenant_scoped(_ALL.where(IS_OF_EMAIL).order_by(case((_C.email_key == _AS_TYPED, 0), else_=1)), User)
_MANY = tenant_scoped(_ALL.where(among(_C.id, "ids")), User)
_MANY_LOCKED = tenant_scoped(_ALL.where(among(_C.id, "ids")).order_by(_C.id).with_for_update(), User)
_CALLER = tenant_scoped(_ALL.where(_C.id == bindparam("id")), User, every_kind=True)
_NAMED = tenant_scoped(_ALL.where(among(_C.id, "ids")), User, every_kind=True)
_SORTS = {"ID": _C.id, "EMAIL": _C.email_key, "LAST_NAME": _C.last_name}
_NAMES = _C.first_name + " " + _C.last_name + " "
_FILTERS = {
    "search": or_(
        _C.email_key.like(bindparam("like"), escape="\\"),
        # Matches words of names in any order, and of the address, whose domain can be spelled differently from the key.
        func.lower(_NAMES + _NAMES + _NAMES + _C.email).like(bindparam("like"), escape="\\"),
    ),
    "role": _C.roles.op("&")(bindparam("role", type_=Integer())) != 0,
    "active": _C.deactivated_at.is_(None),
    "inactive": _C.deactivated_at.is_not(None),
}
#: The list of users. Filters take ``like`` (see :func:`manifest_auth.text.canonical.like`) and ``role`` (a bit).
LISTING = Listing(_ALL, User, key=_C.id, sorts=_SORTS, filters=_FILTERS)
#: The same list with every kind of account. Its filter ``service`` excludes service accounts.
EVERY_KIND = Listing(
    _ALL, User, key=_C.id, sorts=_SORTS, filters={**_FILTERS, "service": _C.kind == SERVICE}, every_kind=True
)
#: The console's list of users. Filters also take ``invited`` (1 for users who never signed in and have no password,
#: else 0) and ``with_factor`` (1 or 0).
OF_CONSOLE = Listing(
    _ALL,
    User,
    key=_C.id,
    sorts=_SORTS,
    filters={
        **{name: _FILTERS[name] for name in ("search", "role", "inactive")},
        "current": and_(
            _C.deactivated_at.is_(None),
            case((and_(_C.last_sign_in_at.is_(None), _C.password_hash.is_(None)), 1), else_=0)
            == bindparam("invited", type_=Integer()),
        ),
        "factor": case((_C.factors == 0, 0), else_=1) == bindparam("with_factor", type_=Integer()),
    },
)
#: The members that people enter, and their types and limits.
FIELDS: Final = fields.declared_in(User)
#: Members without special rules: interfaces show and change all of them in the same way.
DETAILS: Final = {name: field for name, field in FIELDS.items() if name not in ("email", "description")}
#: The ones that users can change themselves.
OWN: Final = {name: DETAILS[name] for name in ("first_name", "last_name", "title")}
_NEW = (*FIELDS, "email_key", "roles", "password_hash", "password_changed_at", "created_at")
_ADD = tenant_scoped(insert(users).values({name: bindparam(name) for name in _NEW}).returning(_C.id), int)
_CHANGED = (*FIELDS, "email_key", "email_proved_at", "profile_changed_at")
_CHANGE = tenant_scoped(
    update(users).where(_C.id == bindparam("id")).values({name: bindparam("new_" + name) for name in _CHANGED})
)
_SET_LANGUAGE = tenant_scoped(
    update(users)
    .where(_C.id == bindparam("id"))
    .values(language=bindparam("language"), profile_changed_at=bindparam("now"))
)
_FACTOR_DUE = tenant_scoped(
    update(users).where(_C.id == bindparam("id")).values(second_factor_due_at=bindparam("due_at"))
)
_WITHOUT_FACTOR = tenant_scoped(
    select(func.count())
    .select_from(users)
    .where(
        _C.deactivated_at.is_(None),
        _C.factors == 0,
        _C.roles.bitwise_and(bindparam("roles", type_=Integer)) != 0,
        _C.roles.bitwise_and(bindparam("but", type_=Integer)) == 0,
    ),
    int,
)
_SIGNED_IN = tenant_scoped(update(users).where(_C.id == bindparam("id")).values(last_sign_in_at=bindparam("now")))
# Locks the tenant's active Admins, so that two Admins who remove each other can't both succeed.
ACTIVE_ADMINS = tenant_scoped(
    select(_C.id)
    .where(_C.roles.bitwise_and(Role.ADMIN.bit) != 0, _C.deactivated_at.is_(None))
    .order_by(_C.id)
    .with_for_update(),
    int,
)


def find(unit: TenantUnit, user_id: int) -> User | None:
    return unit.first(_BY_ID, id=user_id)


def get(unit: TenantUnit, user_id: int, *, lock: bool = False, admins: bool = False) -> User:
    """Returns the user. Raises NotFound.

    ``lock`` locks the row until the transaction ends. ``admins`` also locks the rows of the active Admins, first and in
    a fixed order, so that two Admins who remove each other wait for one another.
    """
    if admins:
        unit.all(ACTIVE_ADMINS)
    return existing(unit.first(_LOCKED if lock else _BY_ID, id=user_id))


def get_many(unit: TenantUnit, ids: Sequence[int]) -> list[User]:
    """Returns the tenant's users with these IDs, in no particular order."""
    return unit.all(_MANY, ids=numbers(ids))


def lock_many(unit: TenantUnit, ids: Collection[int], *, admins: bool = False) -> list[User]:
    """Returns the users with these IDs, in order and locked. ``admins`` is the same as for :func:`get`. Raises
    NotFound."""
    if admins:
        unit.all(ACTIVE_ADMINS)
    found = unit.all(_MANY_LOCKED, ids=numbers(ids))
    return existing(found if len(found) == len(ids) else None)


def find_caller(unit: TenantUnit, caller: Principal) -> User | None:
    """Returns the current row of a caller, a person or a service account, with the roles of the caller's session."""
    found = unit.first(_CALLER, id=caller.user_id)
    return None if found is None else found._replace(roles=caller.capped(found.roles))


def get_named(unit: TenantUnit, ids: Sequence[int]) -> list[User]:
    """Like :func:`get_many`, but includes service accounts, in order to name the actors of events."""
    return unit.all(_NAMED, ids=numbers(ids))


def find_by_email(unit: TenantUnit, email: str) -> User | None:
    return unit.first(_BY_EMAIL, **email_keys(email))


def set_language(unit: TenantUnit, user_id: int, language: Language | None, now: int) -> None:
    """Stores the user's language for pages and emails; None for no choice."""
    unit.announce("user", user_id)
    unit.change(_SET_LANGUAGE, id=user_id, language=language, now=now)


def create(
    unit: TenantUnit, counter: SeatCounter, *, email: str, roles: int, password_hash: str | None, now: int, **given: str
) -> User:
    """Creates a user. ``counter`` counts the license's seats, and ``given`` contains other members of :data:`FIELDS`.
    Raises ValidationError, Conflict if the address is taken in this tenant, or NoSeat."""
    entered = {**dict.fromkeys(FIELDS, ""), **given, "email": email}
    check(entered)
    counter.seat(unit, 0, roles)  # first, so that a transaction that waits for this lock holds no other one
    _check_free(unit, email)
    added = unit.one(
        _ADD,
        **entered,
        email_key=email_key(email),
        roles=roles,
        password_hash=password_hash,
        password_changed_at=now if password_hash else None,
        created_at=now,
    )
    return get(unit, added)


def change(unit: TenantUnit, user: User, now: int, **given: str) -> User:
    """Changes the ``given`` members of :data:`FIELDS`. A new address isn't verified. Raises ValidationError, or
    Conflict if it is taken in this tenant."""
    check({name: text for name, text in given.items() if text != getattr(user, name)})
    changes: dict[str, Any] = dict(given)
    after = user._replace(**changes)
    after = after._replace(profile_changed_at=now) if after != user else after
    if after.email != user.email:
        _check_free(unit, after.email, but=user.id)
        after = after._replace(email_key=email_key(after.email), email_proved_at=None)
    unit.change(_CHANGE, id=user.id, **{f"new_{name}": getattr(after, name) for name in _CHANGED})
    unit.announce("user", user.id)
    return after


def _check_free(unit: TenantUnit, email: str, but: int = 0) -> None:
    """Raises Conflict if an account other than ``but`` has the address in any spelling."""
    if any(found.id != but for found in unit.all(_BY_EMAIL, **email_keys(email))):
        raise Conflict(_("A user with this email address already exists"))


def without_factor(unit: TenantUnit, roles: int, *, but: int = 0) -> int:
    """The number of active users without a second factor who have a role in the mask, but none in ``but``."""
    return unit.one(_WITHOUT_FACTOR, roles=roles, but=but)


def factor_due(unit: TenantUnit, user_id: int, due_at: int | None) -> None:
    """Stores when sign-in starts to require a second factor, in milliseconds, or None if it doesn't."""
    unit.change(_FACTOR_DUE, id=user_id, due_at=due_at)


def signed_in(unit: TenantUnit, user_id: int, now: int) -> None:
    unit.change_later(_SIGNED_IN, id=user_id, now=now)


def check(given: Mapping[str, str]) -> None:
    """Checks members of an account by their names. Raises ValidationError that names all invalid members."""
    with ErrorCollector() as each:
        for name, text in given.items():
            with each:
                FIELDS[name].check(text, fields.wire_name(name))


_SET_PASSWORD = tenant_scoped(
    update(users)
    .where(_C.id == bindparam("id"))
    .values(
        password_hash=bindparam("new_hash"),
        password_changed_at=bindparam("changed_at"),
        email_proved_at=bindparam("proved_at"),
    )
)
_PROVE_EMAIL = tenant_scoped(update(users).where(_C.id == bindparam("id")).values(email_proved_at=bindparam("now")))
_REHASH = tenant_scoped(
    update(users)
    .where(_C.id == bindparam("id"), _C.password_hash == bindparam("old_hash"))
    .values(password_hash=bindparam("new_hash"))
)
_ADD_FORMER = tenant_scoped(
    insert(password_history).values({name: bindparam(name) for name in ("user_id", "password_hash", "replaced_at")})
)
_WITH_PASSWORD = tenant_scoped(
    select(func.count())
    .select_from(users)
    .where(_C.deactivated_at.is_(None), _C.password_hash.is_not(None), _C.password_changed_at <= bindparam("before")),
    int,
)
_H = password_history.c
_DROP_FORMER = tenant_scoped(delete(password_history).where(_H.user_id == bindparam("user_id")))
_FORMER = tenant_scoped(
    select(_H.password_hash).where(_H.user_id == bindparam("user_id")).order_by(_H.id.desc()).limit(bindparam("limit")),
    str,
)


def with_password(unit: TenantUnit, before: int) -> int:
    """The number of active users whose password was set by ``before`` (milliseconds)."""
    return unit.one(_WITH_PASSWORD, before=before)


def set_email(unit: TenantUnit, user: User, email: str, now: int) -> User:
    """Sets an address that was just confirmed from its mailbox. Raises Conflict if it is taken in this tenant."""
    return prove_email(unit, change(unit, user, now, email=email), now)


def prove_email(unit: TenantUnit, user: User, now: int) -> User:
    """Marks the user's address as verified, after someone followed a link in an email to it without setting a password.
    Keeps the time of an earlier verification."""
    if user.email_proved_at is not None:
        return user
    proved_at = _apart(now, user.password_changed_at)
    unit.change(_PROVE_EMAIL, id=user.id, now=proved_at)
    return user._replace(email_proved_at=proved_at)


def password_is_proved(user: User) -> bool:
    """Whether the password was set with a link that was emailed to the user's current address. Only then are the two
    times equal: all other writes keep them different (:func:`_apart`)."""
    return user.password_hash is not None and user.password_changed_at == user.email_proved_at


def _apart(now: int, other: int | None) -> int:
    return now + 1 if now == other else now


def set_password(unit: TenantUnit, user: User, password_hash: str, now: int, *, by_emailed_link: bool = False) -> None:
    """Stores the new hash, and keeps the old one for the password history. For ``by_emailed_link``, see
    :func:`password_is_proved`."""
    _store_former_hash(unit, user, now)
    proved_at = now if by_emailed_link else user.email_proved_at
    changed_at = now if by_emailed_link else _apart(now, proved_at)
    _store(unit, user, password_hash, changed_at, proved_at)


def void_password(unit: TenantUnit, user: User, now: int) -> None:
    """Removes the password; the old hash stays in the history."""
    _store_former_hash(unit, user, now)
    _store(unit, user, None, None, user.email_proved_at)


def drop_password(unit: TenantUnit, user: User) -> User:
    """Removes the password and the history."""
    _store(unit, user, None, None, user.email_proved_at)
    unit.change(_DROP_FORMER, user_id=user.id)
    return user._replace(password_hash=None, password_changed_at=None)


def _store(unit: TenantUnit, user: User, new_hash: str | None, changed_at: int | None, proved_at: int | None) -> None:
    """Replaces a password. No other code does this. Also ends the trust in browsers, so sign-ins there require a second
    factor again."""
    unit.change(_SET_PASSWORD, id=user.id, new_hash=new_hash, changed_at=changed_at, proved_at=proved_at)
    factors.trusted_browsers.end_all(unit, user.id)


def _store_former_hash(unit: TenantUnit, user: User, now: int) -> None:
    if user.password_hash:
        unit.change(_ADD_FORMER, user_id=user.id, password_hash=user.password_hash, replaced_at=now)


def former_hashes(unit: TenantUnit, user: User, count: int) -> list[str]:
    """The current hash and the ``count - 1`` hashes before it, newest first."""
    former = unit.all(_FORMER, user_id=user.id, limit=count)
    return ([user.password_hash] if user.password_hash else [])[:count] + former[: max(0, count - 1)]


def rehash(unit: TenantUnit, user_id: int, old_hash: str, new_hash: str) -> bool:
    """Stores a new hash of the same password. Returns False if the password was changed in the meantime."""
    if unit.change(_REHASH, id=user_id, old_hash=old_hash, new_hash=new_hash) != 1:
        return False
    factors.challenges.rehashed(unit, user_id, old_hash, new_hash)
    return True


_K, _O, _T = users.c, known_origins.c, tenants.c
_WITH_TENANT = select(*(_K[name] for name in User._fields), *(_T[name] for name in Tenant._fields)).join_from(
    users, tenants, _T.id == _K.tenant_id
)
# The tenant's row isn't locked, so sign-ins of a tenant don't wait for one another.
_LOCKED_WITH_TENANT = tenant_scoped(_WITH_TENANT.where(_K.id == bindparam("id")).with_for_update(of=users))
_DEVICE_SEEN = (
    select(func.max(_O.seen_at))
    .where(among(_O.origin, "devices"), _O.tenant_id == _K.tenant_id)
    .correlate(users)
    .scalar_subquery()
)
_OWNER = select(domain_owners.c.tenant_id).where(domain_owners.c.domain == bindparam("domain")).scalar_subquery()
_IS_PROVED = or_(_K.email_proved_at.is_not(None), _K.tenant_id == _OWNER)
_SIGNED_IN_PROVED = case((_IS_PROVED, func.coalesce(_K.last_sign_in_at, 0)), else_=-1)
_NO_CLIENT = cross_tenant(
    _WITH_TENANT.where(IS_OF_EMAIL)
    .order_by(func.coalesce(_DEVICE_SEEN, 0).desc(), _SIGNED_IN_PROVED.desc(), _K.created_at, _K.id)
    .limit(1),
    because="a sign-in that names no client uses one with the address: by device, by verification, or by age",
)


def get_with_tenant(unit: TenantUnit, user_id: int) -> tuple[User, Tenant]:
    """Returns the user, locked until the transaction ends, and the tenant. Raises NotFound."""
    return _both(existing(unit.first(_LOCKED_WITH_TENANT, id=user_id)))


def expect_sign_in(unit: TenantUnit, user: User, tenant: Tenant) -> None:
    """Says that :func:`get_with_tenant` will most likely find the user unchanged."""
    unit.expect(_LOCKED_WITH_TENANT, (*user, *tenant), id=user.id)


def find_without_client(unit: SystemUnit, email: str, devices: Iterable[str]) -> tuple[User, Tenant] | None:
    """Returns the account for a sign-in that doesn't name a client, across tenants.

    Prefers the account of the client where one of the ``devices`` (origins of the throttle) was last used. Next, of the
    accounts with a verified address (by a link, or because the domain belongs to the client), it takes the one that
    signed in last; otherwise the oldest account. So a client can't attract a person's sign-ins by creating an account
    for the address."""
    keys = email_keys(email)
    found = unit.first(_NO_CLIENT, **keys, domain=email_domain(email), devices=texts(devices))
    if found is None:
        return None
    user, tenant = _both(found)
    if user.email_key != keys["as_typed"]:  # one mailbox can have two accounts
        user = find_by_email(unit.of(tenant.id), email) or user
    return user, tenant


def _both(row: Sequence[Any]) -> tuple[User, Tenant]:
    count = len(User._fields)
    return User._make(row[:count]), Tenant._make(row[count:])


# These are the only statements that write roles, and whether a user is deactivated. An existing user becomes an active
# Admin only through :func:`set_roles` or :func:`restore`, and both void the account's credentials
# (:class:`VoidAccount`).

# Updates only rows as they were checked, because roles and state determine whether the user becomes an Admin.
_AS_CHECKED = (
    among(_C.id, "ids"),
    _C.roles == bindparam("checked_roles"),
    case((_C.deactivated_at.is_(None), 1), else_=0) == bindparam("checked_active", type_=Integer()),
)
_SET_ROLES = tenant_scoped(update(users).where(*_AS_CHECKED).values(roles=bindparam("new_roles")))
_DEACTIVATE = tenant_scoped(
    update(users).where(_C.id == bindparam("id"), _C.deactivated_at.is_(None)).values(deactivated_at=bindparam("now"))
)
_RESTORE = tenant_scoped(update(users).where(*_AS_CHECKED).values(deactivated_at=None))


LAST_ADMIN = _("You can't remove the last active Admin of a client")
#: Ends all credentials that another person might have planted in an account, except the password, which
#: :func:`set_roles` and :func:`restore` remove. Runs when a user becomes an active Admin. Gets the user before the
#: change.
VoidAccount = Callable[[TenantUnit, User], None]


def set_roles(
    unit: TenantUnit, counter: SeatCounter, user: User, roles: int, void_account: VoidAccount, now: int
) -> User:
    """Sets the roles, effective with the next request, and ends sessions of apps that the new roles can't use. ``user``
    must be locked. ``void_account`` runs when the user becomes an active Admin. Raises Conflict if no active Admin
    would be left, or NoSeat if the license has no seat for these roles."""
    [after] = set_roles_of_many(unit, counter, [(user, roles)], void_account, now)
    return after


def set_roles_of_many(
    unit: TenantUnit, counter: SeatCounter, changes: Collection[tuple[User, int]], void_account: VoidAccount, now: int
) -> list[User]:
    """Does the same as :func:`set_roles` for several users, in a few statements. The client's Admins and the seats are
    those after all changes."""
    written = [(user, user._replace(roles=roles)) for user, roles in changes]
    losing = {user.id for user, after in written if user.roles & ~after.roles & Role.ADMIN.bit}
    if losing and not {after.id for _, after in written if after.is_admin}.union(unit.all(ACTIVE_ADMINS)) - losing:
        raise Conflict(LAST_ADMIN)
    counter.seats(unit, [(user.roles, after.roles) for user, after in written if user.deactivated_at is None])
    of_roles: dict[int, list[int]] = {}
    for user, after in written:
        of_roles.setdefault(after.roles, []).append(user.id)
    for roles, ids in of_roles.items():
        app_sessions.end_without_role(unit, ids, roles, now)
    return _write(unit, _SET_ROLES, written, void_account)


def deactivate(unit: TenantUnit, user: User, now: int) -> bool:
    """Deactivates a user. Returns False if the user was already deactivated. Raises Conflict for the tenant's last
    active Admin."""
    if user.roles & Role.ADMIN.bit and user.deactivated_at is None:
        _check_not_last_admin(unit, user)
    unit.announce("user", user.id)
    factors.trusted_browsers.end_all(unit, user.id)
    return unit.change(_DEACTIVATE, id=user.id, now=now) == 1


def restore(unit: TenantUnit, counter: SeatCounter, user: User, void_account: VoidAccount) -> User:
    """Restores a deactivated user, who must be locked. ``void_account`` has the same meaning as for :func:`set_roles`.
    Raises NoSeat."""
    counter.seat(unit, 0, user.roles)
    [after] = _write(unit, _RESTORE, [(user, user._replace(deactivated_at=None))], void_account)
    return after


def _write(
    unit: TenantUnit, statement: TenantScoped[Any], written: Sequence[tuple[User, User]], void_account: VoidAccount
) -> list[User]:
    """Makes existing users active Admins. No other code does this. ``written``: the users before and after."""
    alike: dict[tuple[int, int, int], list[int]] = {}
    for user, after in written:
        alike.setdefault((user.roles, int(user.deactivated_at is None), after.roles), []).append(user.id)
    for (roles, is_active, new_roles), ids in alike.items():
        checked = {"checked_roles": roles, "checked_active": is_active}
        if unit.change(statement, ids=numbers(ids), new_roles=new_roles, **checked) != len(ids):
            raise Conflict()  # a concurrent change was faster
    found = []
    for user, after in written:
        unit.announce("user", user.id)
        if after.is_admin and not user.is_admin:
            after = drop_password(unit, after)
            void_account(unit, user)
        found.append(after)
    return found


def is_last_admin(unit: TenantUnit, user: User) -> bool:
    """Whether this is the only active Admin. Locks all of them, so get the user with ``admins`` first."""
    return not set(unit.all(ACTIVE_ADMINS)) - {user.id}


def _check_not_last_admin(unit: TenantUnit, user: User) -> None:
    if is_last_admin(unit, user):
        raise Conflict(LAST_ADMIN)
