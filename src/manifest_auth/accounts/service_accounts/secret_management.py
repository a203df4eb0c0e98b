"""Operations on API keys and client secrets: make, rotate, revoke.

Both kinds have the same life; a secret is shown in the answer to the act that makes it, and never again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from manifest_auth import audit
from manifest_auth.accounts.rank import RequestOrOrigin
from manifest_auth.accounts.service_accounts import management, rows, secrets
from manifest_auth.accounts.service_accounts.rows import ServiceAccount
from manifest_auth.accounts.service_accounts.secrets import MOST_OF, Secret
from manifest_auth.audit import Act, Event
from manifest_auth.context import Acting
from manifest_auth.errors import Conflict, ValidationError
from manifest_auth.runtime.clock import Random
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text import fields, machine_secrets
from manifest_auth.text.canonical import when
from manifest_auth.text.machine_secrets import SecretKind

DEFAULT_DAYS: Final = 90
MOST_DAYS: Final = 366  # no secret is without an end
DEFAULT_OVERLAP_H: Final = 24
MOST_OVERLAP_H: Final = 168
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_MADE = {SecretKind.API_KEY: Event.API_KEY_CREATED, SecretKind.CLIENT_SECRET: Event.CLIENT_SECRET_CREATED}
# A client secret that is rotated is made anew.
_ROTATED = {SecretKind.API_KEY: Event.API_KEY_ROTATED, SecretKind.CLIENT_SECRET: Event.CLIENT_SECRET_CREATED}
_REVOKED = {SecretKind.API_KEY: Event.API_KEY_REVOKED, SecretKind.CLIENT_SECRET: Event.CLIENT_SECRET_REVOKED}
_NAMES = {SecretKind.API_KEY: "API keys", SecretKind.CLIENT_SECRET: "client secrets"}


class NewSecret(NamedTuple):
    """``text``: the secret itself, for the answer alone."""

    secret: Secret
    text: str


def make_secret(
    unit: TenantUnit, who: RequestOrOrigin, random: Random, account_id: int, kind: SecretKind, label: str, days: int
) -> NewSecret:
    """Makes a secret, good for ``days`` (1 to :data:`MOST_DAYS`). Raises NotFound, Forbidden, ValidationError,
    ReauthenticationRequired, Conflict when the account has too many."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    account = rows.get(unit, account_id, lock=True)
    management.check_may_give(unit, who, account.roles)
    if not 1 <= days <= MOST_DAYS:
        raise ValidationError(details=[("expiresInDays", f"Must be 1 to {MOST_DAYS}")])
    made = _add(unit, who, random, account, kind, fields.SECRET_LABEL.check(label, "label"), days)
    audit.record(unit, who, _MADE[kind], account.subject, **_shown(made.secret))
    return made


def rotate_secret(
    unit: TenantUnit, who: RequestOrOrigin, random: Random, account_id: int, kind: SecretKind, secret_id: str,
    overlap_h: int,
) -> NewSecret:  # fmt: skip
    """Makes a secret in place of another, which ends after ``overlap_h`` hours (0 to :data:`MOST_OVERLAP_H`), and not
    later than it would. The new one is good for as many days as the old one was made for. Raises as
    :func:`make_secret`."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    account, now = rows.get(unit, account_id, lock=True), who.origin.at
    management.check_may_give(unit, who, account.roles)
    if not 0 <= overlap_h <= MOST_OVERLAP_H:
        raise ValidationError(details=[("overlapHours", f"Must be 0 to {MOST_OVERLAP_H}")])
    old = secrets.get(unit, account.id, kind, secret_id, now)
    ends_at = min(old.ends_at, now + overlap_h * _HOUR_MS)
    if ends_at <= now:
        secrets.end(unit, old, now)
    made = _add(unit, who, random, account, kind, old.label, old.days)
    secrets.rotated(unit, old, made.secret.id, ends_at)
    detail = {**_shown(made.secret), "in_place_of": old.id, "old_ends": when(ends_at)}
    audit.record(unit, who, _ROTATED[kind], account.subject, **detail)
    return made


def revoke_secret(unit: TenantUnit, who: RequestOrOrigin, account_id: int, kind: SecretKind, secret_id: str) -> None:
    """Ends a secret at once. Raises NotFound, Forbidden."""
    management.check_manages(unit, who)
    account, now = rows.get(unit, account_id, lock=True), who.origin.at
    secret = secrets.get(unit, account.id, kind, secret_id, now)
    secrets.end(unit, secret, now)
    audit.record(unit, who, _REVOKED[kind], account.subject, key=secret.id, hint=secret.hint)


def end_leaked(unit: TenantUnit, who: Acting, secret_id: str) -> bool:
    """Ends a secret that its holder showed in order to end it; asks no permission. False when it had ended."""
    secret = secrets.find(unit, secret_id)
    if secret is None or not secrets.end(unit, secret, who.origin.at):
        return False
    revoked = _REVOKED[SecretKind(secret.kind)]
    detail = {"key": secret.id, "hint": secret.hint, "by_holder": True}
    audit.record(unit, who, revoked, f"service:{secret.user_id}", **detail)
    return True


def _add(
    unit: TenantUnit, who: RequestOrOrigin, random: Random, account: ServiceAccount, kind: SecretKind, label: str,
    days: int,
) -> NewSecret:  # fmt: skip
    now = who.origin.at
    if secrets.count(unit, account.id, kind, now) >= MOST_OF[kind]:
        raise Conflict(f"A service account has at most {MOST_OF[kind]} {_NAMES[kind]}: revoke one first")
    text = machine_secrets.make(kind, random.bytes(machine_secrets.RANDOM_BYTES))
    secret = Secret(
        id=random.text(12), user_id=account.id, kind=kind.value, label=label, hint=machine_secrets.hint_of(text),
        days=days, created_at=now, created_by=who.origin.actor, ends_at=now + days * _DAY_MS, ended_at=None,
        rotated_to=None, notices=secrets.notices_at(now + days * _DAY_MS, now), last_used_at=None, last_address="",
    )  # fmt: skip
    secrets.add(unit, hash=machine_secrets.hash_of(text), **secret._asdict())
    return NewSecret(secret, text)


def _shown(secret: Secret) -> dict[str, str]:
    """As the audit trail shows it."""
    return {"key": secret.id, "label": secret.label, "hint": secret.hint, "ends": when(secret.ends_at)}
