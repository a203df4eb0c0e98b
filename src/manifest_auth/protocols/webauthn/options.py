"""The options that a browser gets before it asks an authenticator (WebAuthn Level 3, sections 5.4 and 5.5), as JSON."""

from __future__ import annotations

from typing import Any, NamedTuple

from manifest_auth.protocols.webauthn.verification import ALGORITHMS
from manifest_auth.text import base64url

TIMEOUT_MS = 300_000  # the recommended one (section 15.1)


class Descriptor(NamedTuple):
    """A credential that is named to the browser. ``id``: base64url."""

    id: str
    transports: tuple[str, ...]


class Person(NamedTuple):
    """Whom a new credential belongs to. ``handle``: base64url of 64 random bytes; the names are for the person's own
    list of credentials."""

    handle: str
    name: str
    display_name: str


def creation(rp_id: str, challenge: str, person: Person, existing: list[Descriptor]) -> dict[str, Any]:
    """For ``navigator.credentials.create``. ``challenge``: base64url; ``existing``: on whose authenticators no other
    one is made. The library is loaded, see :func:`.library.load`."""
    from webauthn import generate_registration_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.structs import (
        AttestationConveyancePreference,
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    selection = AuthenticatorSelectionCriteria(
        resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
    )
    return options_to_json_dict(
        generate_registration_options(
            rp_id=rp_id,
            rp_name=rp_id,
            user_id=base64url.decode(person.handle),
            user_name=person.name,
            user_display_name=person.display_name,
            challenge=base64url.decode(challenge),
            timeout=TIMEOUT_MS,
            attestation=AttestationConveyancePreference.NONE,
            authenticator_selection=selection,
            exclude_credentials=_named(existing),
            supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
        )
    )


def request(rp_id: str, challenge: str, allowed: list[Descriptor]) -> dict[str, Any]:
    """For ``navigator.credentials.get``. ``allowed``: empty, where the browser is to offer what it has. The library is
    loaded, see :func:`.library.load`."""
    from webauthn import generate_authentication_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import UserVerificationRequirement

    return options_to_json_dict(
        generate_authentication_options(
            rp_id=rp_id,
            challenge=base64url.decode(challenge),
            timeout=TIMEOUT_MS,
            allow_credentials=_named(allowed),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def _named(found: list[Descriptor]) -> list[Any]:
    from webauthn.helpers.structs import AuthenticatorTransport, PublicKeyCredentialDescriptor

    return [
        PublicKeyCredentialDescriptor(
            id=base64url.decode(one.id), transports=[AuthenticatorTransport(text) for text in one.transports]
        )
        for one in found
    ]
