"""Events of the audit trail in plain words.

One sentence for each, with places for names: ``who`` acted, ``whom`` or ``what`` it concerns, ``provider`` that had a
part in it; ``through``: " through" that provider, or nothing where none had.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.audit import Event


class Words(NamedTuple):
    """``area``: what the event is about, in a word; ``is_bad``: a person who looks after the client looks at it."""

    area: str
    sentence: str
    is_bad: bool = False


_IN, _USERS, _SET, _PROV, _DOM, _SRV = "Sign-in", "Users", "Settings", "Providers", "Domains", "Server"
_MACHINES, _DEV = "Machines", "Devices"

WORDS: dict[Event, Words] = {
    Event.SIGNED_IN: Words(_IN, "%(whom)s signed in%(through)s"),
    Event.SIGN_IN_FAILED: Words(_IN, "A sign-in%(through)s failed: %(whom)s", True),
    Event.SIGN_IN_REFUSED: Words(_IN, "A sign-in%(through)s was refused: %(whom)s", True),
    Event.ACCESS_REFUSED: Words(_IN, "%(who)s was refused what needs another role", True),
    Event.SEAT_REFUSED: Words(_USERS, "No licence seat was free for what %(who)s asked for", True),
    Event.THROTTLED: Words(_IN, "Too many attempts were stopped: %(whom)s", True),
    Event.EVENTS_LEFT_OUT: Words(_IN, "More failed sign-ins of the same kind were counted and not listed", True),
    Event.SIGNED_OUT: Words(_IN, "%(whom)s signed out"),
    Event.SIGNED_OUT_ALL: Words(_IN, "%(who)s ended all sessions of %(whom)s"),
    Event.SERVICE_TOKEN_ISSUED: Words(_MACHINES, "The service account %(what)s got an access token"),
    Event.SESSION_ENDED: Words(_IN, "%(who)s ended a session of %(whom)s"),
    Event.REFRESH_TOKEN_REUSED: Words(_IN, "A used refresh token of %(whom)s came back; the session was ended", True),
    Event.PASSWORD_CHANGED: Words(_IN, "%(whom)s changed their password"),
    Event.PASSWORD_CHECK_FAILED: Words(_IN, "%(whom)s gave a wrong current password", True),
    Event.PASSWORD_REHASHED: Words(_IN, "The stored password of %(whom)s was strengthened"),
    Event.CLIENT_CREATED: Words(_SET, "%(who)s made this client"),
    Event.CLIENT_CHANGED: Words(_SET, "%(who)s changed the rules"),
    Event.BRANDING_CHANGED: Words(_SET, "%(who)s changed the branding"),
    Event.CLIENT_SUSPENDED: Words(_SET, "%(who)s suspended this client", True),
    Event.CLIENT_RESTORED: Words(_SET, "%(who)s let this client work again"),
    Event.CLIENT_DELETION_STARTED: Words(_SET, "%(who)s marked this client for deletion", True),
    Event.CLIENT_DELETED: Words(_SET, "This client was deleted", True),
    Event.USER_CREATED: Words(_USERS, "%(who)s added %(whom)s"),
    Event.USER_CHANGED: Words(_USERS, "%(who)s changed the details of %(whom)s"),
    Event.USER_ROLES_CHANGED: Words(_USERS, "%(who)s changed the roles of %(whom)s"),
    Event.ADMIN_GAINED: Words(_USERS, "%(whom)s became an Admin"),
    Event.ADMIN_ROLE_WITHHELD: Words(_USERS, "%(whom)s did not become an Admin by groups of %(provider)s", True),
    Event.CREDENTIALS_DROPPED: Words(_USERS, "Older ways into the account of %(whom)s were closed"),
    Event.USER_DEACTIVATED: Words(_USERS, "%(who)s deactivated %(whom)s"),
    Event.USER_RESTORED: Words(_USERS, "%(who)s let %(whom)s in again"),
    Event.USER_INVITED: Words(_USERS, "%(who)s invited %(whom)s"),
    Event.INVITATION_ACCEPTED: Words(_USERS, "%(whom)s accepted the invitation"),
    Event.PASSWORD_RESET_STARTED: Words(_IN, "A link to choose a new password was made for %(whom)s"),
    Event.PASSWORD_RESET: Words(_IN, "%(whom)s chose a new password by a link"),
    Event.EMAIL_CHANGE_STARTED: Words(_USERS, "A new e-mail address of %(whom)s waits to be confirmed"),
    Event.EMAIL_CHANGED: Words(_USERS, "%(whom)s has a new e-mail address"),
    Event.EMAIL_CHANGE_UNDONE: Words(_USERS, "%(whom)s has the former e-mail address again", True),
    Event.MAIL_FAILED: Words(_SRV, "An e-mail to %(whom)s could not be sent", True),
    Event.IDENTITY_LINKED: Words(_IN, "%(whom)s was linked to an identity at %(provider)s"),
    Event.IDENTITY_CONFIRMED: Words(_IN, "%(who)s confirmed an identity of %(whom)s"),
    Event.IDENTITY_UNLINKED: Words(_IN, "%(who)s unlinked an identity of %(whom)s"),
    Event.PROVIDER_CREATED: Words(_PROV, "%(who)s added the provider %(what)s"),
    Event.PROVIDER_CHANGED: Words(_PROV, "%(who)s changed the provider %(what)s"),
    Event.PROVIDER_SWITCHED_OFF: Words(_PROV, "%(who)s switched off the provider %(what)s"),
    Event.PROVIDER_SWITCHED_ON: Words(_PROV, "%(who)s switched on the provider %(what)s"),
    Event.PROVIDER_TRIED: Words(_PROV, "%(who)s tried the provider %(what)s"),
    Event.PROVIDER_DELETED: Words(_PROV, "%(who)s deleted the provider %(what)s"),
    Event.DOMAIN_CLAIMED: Words(_DOM, "%(who)s claimed the domain %(what)s"),
    Event.DOMAIN_PROVED: Words(_DOM, "The domain %(what)s was proved"),
    Event.DOMAIN_FAILING: Words(_DOM, "The record of the domain %(what)s is missing", True),
    Event.DOMAIN_LAPSED: Words(_DOM, "The domain %(what)s lapsed: its record was missing for two weeks", True),
    Event.DOMAIN_CONTESTED: Words(_DOM, "Another client claims the domain %(what)s too", True),
    Event.DOMAIN_MOVED: Words(_DOM, "The domain %(what)s moved from one client to another", True),
    Event.DOMAIN_VOUCHED: Words(_DOM, "%(who)s vouched for the domain %(what)s"),
    Event.DOMAIN_RELEASED: Words(_DOM, "%(who)s released the domain %(what)s"),
    Event.ASSERTION_REPLAYED: Words(_IN, "An answer of %(provider)s was shown twice and refused", True),
    Event.SIGN_IN_CODE_REUSED: Words(_IN, "A used sign-in code of %(whom)s came back; the session was ended", True),
    Event.SETUP_CODE_MADE: Words(_SRV, "A setup code for the first system admin was made"),
    Event.SETUP_CODE_FAILED: Words(_SRV, "A wrong setup code was entered", True),
    Event.ADMIN_CREATED: Words(_SRV, "%(who)s made a system admin"),
    Event.ADMIN_DISABLED: Words(_SRV, "%(who)s disabled a system admin"),
    Event.ADMIN_ENABLED: Words(_SRV, "%(who)s enabled a system admin"),
    Event.ADMIN_PASSWORD_RESET: Words(_SRV, "%(who)s reset the password of a system admin"),
    Event.SECOND_FACTOR_BEGUN: Words(_IN, "%(whom)s began to set up a second factor"),
    Event.SECOND_FACTOR_ENROLLED: Words(_IN, "%(whom)s set up a second factor"),
    Event.SECOND_FACTOR_REMOVED: Words(_IN, "A second factor of %(whom)s was removed"),
    Event.SECOND_FACTOR_FAILED: Words(_IN, "%(whom)s gave a wrong code of the second factor", True),
    Event.SECOND_FACTOR_RESET: Words(_USERS, "%(who)s took the second factors of %(whom)s away"),
    Event.PASSKEY_ADDED: Words(_IN, "%(whom)s added a passkey"),
    Event.PASSKEY_RENAMED: Words(_IN, "%(whom)s renamed a passkey"),
    Event.PASSKEY_REMOVED: Words(_IN, "%(whom)s removed a passkey"),
    Event.PASSKEY_COUNTER_REGRESSED: Words(_IN, "A passkey of %(whom)s was refused: there may be a copy of it", True),
    Event.RECOVERY_CODES_MADE: Words(_IN, "%(whom)s made new recovery codes"),
    Event.RECOVERY_CODE_USED: Words(_IN, "%(whom)s used a recovery code"),
    Event.BROWSER_TRUSTED: Words(_IN, "%(whom)s asked that a browser is trusted for a while"),
    Event.BROWSER_TRUST_ENDED: Words(_IN, "%(who)s ended the trust of browsers of %(whom)s"),
    Event.REAUTHENTICATED: Words(_IN, "%(whom)s proved again who they are"),
    Event.REAUTHENTICATION_FAILED: Words(_IN, "%(whom)s failed to prove again who they are", True),
    Event.DEVICE_APP_CREATED: Words(_SET, "%(who)s made the device app %(what)s"),
    Event.DEVICE_APP_CHANGED: Words(_SET, "%(who)s renamed the device app %(what)s"),
    Event.DEVICE_APP_REMOVED: Words(_SET, "%(who)s removed the device app %(what)s; its devices were signed out"),
    Event.PAIRING_BEGUN: Words(_IN, "%(whom)s showed a code for a device to scan"),
    Event.PAIRING_CLAIMED: Words(_IN, "A device scanned the code of %(whom)s"),
    Event.DEVICE_APPROVED: Words(_IN, "%(whom)s let a device in"),
    Event.DEVICE_DENIED: Words(_IN, "%(whom)s refused a device"),
    Event.DEVICE_CODE_REUSED: Words(_IN, "A used device code of %(whom)s came back; the session was ended", True),
    Event.SERVICE_ACCOUNT_CREATED: Words(_MACHINES, "%(who)s made the service account %(what)s"),
    Event.SERVICE_ACCOUNT_CHANGED: Words(_MACHINES, "%(who)s changed the service account %(what)s"),
    Event.SERVICE_ACCOUNT_DISABLED: Words(_MACHINES, "%(who)s disabled the service account %(what)s"),
    Event.SERVICE_ACCOUNT_ENABLED: Words(_MACHINES, "%(who)s let the service account %(what)s in again"),
    Event.SERVICE_ACCOUNT_DELETED: Words(_MACHINES, "%(who)s deleted the service account %(what)s"),
    Event.SERVICE_SIGNED_IN: Words(_MACHINES, "The service account %(what)s called"),
    Event.API_KEY_CREATED: Words(_MACHINES, "%(who)s made an API key of %(what)s"),
    Event.API_KEY_ROTATED: Words(_MACHINES, "%(who)s rotated an API key of %(what)s"),
    Event.API_KEY_REVOKED: Words(_MACHINES, "%(who)s revoked an API key of %(what)s"),
    Event.API_KEY_EXPIRED: Words(_MACHINES, "An API key of %(what)s reached its end"),
    Event.CLIENT_SECRET_CREATED: Words(_MACHINES, "%(who)s made a client secret of %(what)s"),
    Event.CLIENT_SECRET_REVOKED: Words(_MACHINES, "%(who)s revoked a client secret of %(what)s"),
    Event.DEVICE_ENROLMENT_BEGUN: Words(_DEV, "%(who)s made a code that enrols a device"),
    Event.DEVICE_ENROLMENT_DROPPED: Words(_DEV, "%(who)s took back a code that enrols a device"),
    Event.DEVICE_ENROLLED: Words(_DEV, "The device %(what)s was enrolled"),
    Event.DEVICE_REMOVED: Words(_DEV, "%(who)s removed the device %(what)s"),
    Event.BADGE_ISSUED: Words(_DEV, "%(who)s issued a badge to %(whom)s"),
    Event.BADGE_ENDED: Words(_DEV, "%(who)s ended a badge of %(whom)s"),
    Event.BADGE_PIN_SET: Words(_DEV, "%(whom)s set the PIN of their badge"),
    Event.BADGE_PIN_RESET: Words(_DEV, "%(who)s gave %(whom)s a temporary PIN"),
    Event.BADGE_PIN_DEAD: Words(_DEV, "The PIN of %(whom)s ended after ten wrong ones in a row", True),
    Event.INSTALLATION_CHANGED: Words(_SRV, "%(who)s changed the installation"),
    Event.THROTTLES_CLEARED: Words(_IN, "%(who)s let %(whom)s try to sign in again"),
    Event.KEYS_MADE: Words(_SRV, "Signing keys were made"),
    Event.KEYS_ROTATED: Words(_SRV, "%(who)s renewed signing keys"),
    Event.KEY_RETIRED: Words(_SRV, "%(who)s retired a signing key"),
    Event.SECRETS_REENCRYPTED: Words(_SRV, "Stored secrets were encrypted anew"),
    Event.LICENSE_INSTALLED: Words(_SRV, "%(who)s installed a licence"),
    Event.LICENSE_REFUSED: Words(_SRV, "A licence key was refused", True),
    Event.LICENSE_STATE_CHANGED: Words(_SRV, "The state of the licence changed", True),
    Event.BACKED_UP: Words(_SRV, "A backup was made"),
    Event.RESTORED: Words(_SRV, "A backup was restored", True),
    Event.SCHEMA_UPGRADED: Words(_SRV, "The server was upgraded"),
    Event.AUDIT_SWEPT: Words(_SRV, "Old events were removed, as the retention rule says"),
    Event.AUDIT_EXPORTED: Words(_SRV, "%(who)s downloaded the audit trail"),
    Event.DIRECTORY_CLAIMED: Words(_DOM, "%(who)s claimed the Microsoft directory %(what)s"),
    Event.DIRECTORY_PROVED: Words(_DOM, "The Microsoft directory %(what)s was proved"),
    Event.DIRECTORY_VOUCHED: Words(_DOM, "%(who)s vouched for the Microsoft directory %(what)s"),
    Event.DIRECTORY_GRANTED: Words(_DOM, "%(who)s granted the Microsoft directory %(what)s"),
    Event.DIRECTORY_REVOKED: Words(_DOM, "%(who)s took back the grant of the Microsoft directory %(what)s"),
    Event.DIRECTORY_RELEASED: Words(_DOM, "%(who)s released the Microsoft directory %(what)s"),
    Event.PROVIDER_NAME_PINNED: Words(_PROV, "%(who)s pinned the provider name %(what)s"),
}


def label(event: str) -> str:
    """The name of an event in a list, by its name in the trail."""
    return event.replace("_", " ").capitalize()


def words_of(event: str) -> Words:
    """The words of what a row of the trail has as its event; its own text for one that no release here knows."""
    try:
        found = WORDS.get(Event(event))
    except ValueError:
        found = None
    return found or Words(_SRV, event.replace("%", "%%").replace("_", " "))
