"""Verifies a response in a fixed order: envelope, signatures, decryption, conditions; then reads the assertion."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

from manifest_auth.errors import Reason
from manifest_auth.protocols.saml import document, shape
from manifest_auth.protocols.saml.document import (
    ASSERTION,
    BEARER,
    DS,
    ENTITY_FORMAT,
    MORE,
    SUCCESS,
    XENC,
    XENC11,
    InvalidSaml,
    SamlRefused,
    assertion,
    ds,
    protocol,
    quoted,
    text_of,
    xenc,
)
from manifest_auth.protocols.saml.shape import UnverifiedResponse, base64_of, only_child

# Encrypted assertions: RSA-OAEP for the key, AES or Triple DES for the assertion (XML Encryption 1.1).
#
# Encrypted content isn't trusted. The plaintext goes through the same parser and structure checks, and needs a
# signature: its own, or that of the whole response over the ciphertext. In the second case, only the verified bytes are
# decrypted.
#
# AES-CBC is malleable: an attacker who learns why a changed ciphertext was rejected can decrypt it (Jager and
# Somorovsky, 2011). So every failure between the key and the parsed element has the same text, wrong padding isn't
# detected as such, and PKCS #1 v1.5 for the key (Bleichenbacher) is rejected by name.
#
# Triple DES is accepted but not advertised, because pysaml2 supports nothing else. Its short block is a weakness only
# after gigabytes with one key, not for one assertion.


UNREADABLE: Final = Reason(
    "response: the server's keys can't decrypt the assertion",
    cause="The assertion is encrypted for an old certificate or another server's",
    cure="Give the provider the server's newest certificate",
)

#: The mode's name and the key's length in bytes, by algorithm address.
_CIPHERS: Final = (
    {f"{XENC}aes{bits}-cbc": ("cbc", bits // 8) for bits in (128, 192, 256)}
    | {f"{XENC11}aes{bits}-gcm": ("gcm", bits // 8) for bits in (128, 192, 256)}
    | {f"{XENC}tripledes-cbc": ("3des", 24)}
)
_TRANSPORTS: Final = (f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep")
#: Hashes for OAEP padding. SHA-1 is safe here, because OAEP doesn't depend on collision resistance.
_DIGESTS: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    f"{DS}sha1": hashes.SHA1,
    f"{XENC}sha256": hashes.SHA256,
    f"{MORE}sha384": hashes.SHA384,
    f"{XENC}sha512": hashes.SHA512,
}
_MASKS: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    f"{XENC11}mgf1sha1": hashes.SHA1,
    f"{XENC11}mgf1sha256": hashes.SHA256,
    f"{XENC11}mgf1sha384": hashes.SHA384,
    f"{XENC11}mgf1sha512": hashes.SHA512,
}
_MOST_KEYS = 4


def decrypted(encrypted: etree._Element, private_keys: Sequence[bytes]) -> etree._Element:
    """Returns the element inside an EncryptedAssertion, as the root of its own document. ``private_keys`` are PEM.

    Raises :class:`SamlRefused`, with a reason for unsupported algorithms, and with :data:`UNREADABLE` for other
    failures.
    """
    if not private_keys:
        raise InvalidSaml("the assertion is encrypted and the provider has no decryption key")
    data = only_child(encrypted, xenc("EncryptedData"))
    mode, size = _cipher(data)
    value = _value(data)
    wrapped = [(_padding(key), _value(key)) for key in _encrypted_keys(encrypted, data)]
    for pem in private_keys[:_MOST_KEYS]:
        # Skips validation, because make_key made the key, and validation takes 30 times as long as decryption.
        private = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(private, rsa.RSAPrivateKey)
        for oaep, content in wrapped:
            clear = _clear(private, oaep, content, size, mode, value)
            if clear is not None:
                with contextlib.suppress(SamlRefused):
                    return document.parse_inside(clear, encrypted.nsmap)
    raise SamlRefused(UNREADABLE)


def _encrypted_keys(encrypted: etree._Element, data: etree._Element) -> list[etree._Element]:
    """Returns the EncryptedKey elements in KeyInfo; otherwise the siblings that RetrievalMethod names, or all siblings.

    Considers only siblings, whatever a RetrievalMethod names.
    """
    beside = encrypted.findall(xenc("EncryptedKey"))
    key_info = data.find(ds("KeyInfo"))
    inside = [] if key_info is None else key_info.findall(xenc("EncryptedKey"))
    references = [] if key_info is None else key_info.findall(ds("RetrievalMethod"))
    found = inside or beside
    if references and not inside:
        named = {reference.get("URI") for reference in references}
        found = [key for key in beside if f"#{key.get('Id')}" in named]
    if not 0 < len(found) <= _MOST_KEYS or len(inside) + len(beside) > _MOST_KEYS:
        raise InvalidSaml(f"{len(found)} encrypted keys for the assertion")
    return found


def _cipher(data: etree._Element) -> tuple[str, int]:
    address = only_child(data, xenc("EncryptionMethod")).get("Algorithm", "")
    if address not in _CIPHERS:
        raise InvalidSaml(f"cipher {quoted(address)} is not allowed")
    return _CIPHERS[address]


def _value(parent: etree._Element) -> bytes:
    return base64_of(only_child(only_child(parent, xenc("CipherData")), xenc("CipherValue")))


def _padding(key: etree._Element) -> padding.OAEP:
    """Returns the OAEP padding that an EncryptedKey names; SHA-1 by default (XML Encryption 5.5.2)."""
    method = only_child(key, xenc("EncryptionMethod"))
    if method.get("Algorithm") not in _TRANSPORTS:
        raise InvalidSaml(f"key transport {quoted(method.get('Algorithm'))} is not allowed")
    digest = _named(method, ds("DigestMethod"), _DIGESTS, hashes.SHA1)
    mask = _named(method, f"{{{XENC11}}}MGF", _MASKS, hashes.SHA1)
    if method.get("Algorithm") == _TRANSPORTS[0]:
        mask = hashes.SHA1
    label = method.find(xenc("OAEPparams"))
    return padding.OAEP(padding.MGF1(mask()), digest(), None if label is None else base64_of(label))


def _named(
    method: etree._Element, name: str, allowed: dict[str, type[hashes.HashAlgorithm]], usual: type[hashes.HashAlgorithm]
) -> type[hashes.HashAlgorithm]:
    found = method.find(name)
    if found is None:
        return usual
    if found.get("Algorithm") not in allowed:
        raise InvalidSaml(f"key transport with {quoted(found.get('Algorithm'))} is not allowed")
    return allowed[found.get("Algorithm", "")]


def _clear(
    private: rsa.RSAPrivateKey, oaep: padding.OAEP, wrapped: bytes, size: int, mode: str, value: bytes
) -> bytes | None:
    """Returns the plaintext. None if the key isn't for this server, or if GCM detects a change."""
    try:
        key = private.decrypt(wrapped, oaep)
        if len(key) != size:
            return None
        if mode == "gcm":
            return AESGCM(key).decrypt(value[:12], value[12:], None)
        cipher, block = (TripleDES(key), 8) if mode == "3des" else (algorithms.AES(key), 16)
        decryptor = Cipher(cipher, modes.CBC(value[:block])).decryptor()
        padded = decryptor.update(value[block:]) + decryptor.finalize()
    except (ValueError, InvalidTag):
        return None
    # Wrong padding makes the parser fail, like any other damage.
    return padded[: len(padded) - min(padded[-1], block)] if padded else None


# Checks of the Response around the assertion (SAML profiles 4.1.4.3): status, destination, issuer, time, InResponseTo.


_ANSWERED = Reason(
    "response: the provider returned …",
    cause="The provider rejected the sign-in and gave this reason",
    cure="See the provider's reason",
)
_DESTINATION = Reason(
    "response: Destination is …",
    cause="The ACS URL that is configured at the provider is different",
    cure="Use `serviceProvider.acsUrl`",
)
_RECIPIENT = _DESTINATION.also("response: Recipient is …")
_FUTURE = Reason(
    "response: issued in the future: …",
    cause="The provider's clock is more than a minute ahead of the server's, or the response is old, possibly "
    "because the provider's clock is behind",
    cure="Check NTP",
)
_NOT_BEFORE = _FUTURE.also("response: not valid before …")
_EXPIRED = _FUTURE.also("response: expired at …")
_IN_RESPONSE_TO = Reason(
    "response: InResponseTo is …",
    cause="The response answers a different request, or claims to answer one although the server sent none",
    cure="Start again; see [any other provider](generic.md#saml)",
)
_AUDIENCE = Reason(
    "response: Audience is …",
    cause="The audience at the provider isn't the server's entity ID for this client",
    cure="Use `serviceProvider.entityId`, with `?client=acme`",
)
_UNSOLICITED = Reason(
    "response: unsolicited, which the provider's settings don't allow",
    cause="The sign-in started at the provider, and `allowIdpInitiated` is off",
    cure="Turn it on, or start here",
)


class Expected(NamedTuple):
    """Values that a response must have. ``request_id`` identifies the AuthnRequest; None for an unsolicited
    response."""

    issuer: str
    audience: str
    acs: str
    request_id: str | None
    now_ms: int


def check_status(response: etree._Element) -> None:
    """Checks for success. The reason for a rejection contains the provider's codes and message."""
    status = only_child(response, protocol("Status"))
    code = only_child(status, protocol("StatusCode"))
    if code.get("Value") == SUCCESS:
        return
    codes = [one.get("Value", "").rpartition(":")[2] for one in status.iter(protocol("StatusCode"))][:4]
    messages = [text_of(one) for one in status.findall(protocol("StatusMessage"))][:1]
    said = f", {quoted(messages[0].strip())}" if messages else ""
    raise SamlRefused(_ANSWERED.with_(f"{quoted(' / '.join(codes))}{said}"))


def check_envelope(response: etree._Element, expected: Expected, is_signed: bool) -> None:
    """Checks the version, time, destination, issuer, and InResponseTo of the Response. Raises :class:`SamlRefused`.

    A signed message must name its destination (SAML bindings 3.5.5.2). An unsigned one can omit it, because the
    Recipient of the confirmation is always required and always signed.
    """
    check_version_and_time(response, expected.now_ms)
    destination = response.get("Destination")
    if destination != expected.acs and (is_signed or destination is not None):
        raise SamlRefused(_DESTINATION.with_(quoted(destination)))
    if response.find(assertion("Issuer")) is not None:
        check_issuer(response, expected.issuer)
    check_answers(response, expected.request_id)


def check_version_and_time(element: etree._Element, now_ms: int) -> None:
    """Checks that a Response or an Assertion has version 2.0 and an IssueInstant that isn't in the future."""
    if element.get("Version") != "2.0":
        raise InvalidSaml(f"Version is {quoted(element.get('Version'))}")
    if document.is_future(element.get("IssueInstant", ""), now_ms):
        raise SamlRefused(_FUTURE.with_(quoted(element.get("IssueInstant"))))


def check_issuer(element: etree._Element, issuer: str) -> None:
    """Checks that the Issuer is exactly the provider's entity ID, with the Format of entities (SAML profiles
    4.1.4.2)."""
    found = only_child(element, assertion("Issuer"))
    if found.get("Format", ENTITY_FORMAT) != ENTITY_FORMAT or text_of(found).strip() != issuer:
        raise InvalidSaml(f"Issuer is {quoted(text_of(found))}")


def check_answers(element: etree._Element, request_id: str | None) -> None:
    """Checks that InResponseTo is the open request, or absent if there is none. So a captured response can't pass as
    unsolicited."""
    if element.get("InResponseTo") != request_id:
        raise SamlRefused(_IN_RESPONSE_TO.with_(f"{quoted(element.get('InResponseTo'))}, not {quoted(request_id)}"))


def read_attributes(element: etree._Element) -> dict[str, tuple[str, ...]]:
    """Returns values by Name, without surrounding white space and including empty ones. A repeated attribute has all
    values.

    A FriendlyName is a key too, unless it is the Name of another attribute or the FriendlyName of an earlier one.
    Raises :class:`SamlRefused` for an attribute without a name.
    """
    named: dict[str, tuple[str, ...]] = {}
    friendly: dict[str, str] = {}
    for statement in element.findall(assertion("AttributeStatement")):
        for attribute in statement.findall(assertion("Attribute")):
            name = attribute.get("Name")
            if not name:
                raise InvalidSaml("an Attribute has no Name")
            named[name] = named.get(name, ()) + _values(attribute)
            friendly.setdefault(attribute.get("FriendlyName") or name, name)
    return {**{alias: named[name] for alias, name in friendly.items()}, **named}


def _values(attribute: etree._Element) -> tuple[str, ...]:
    """Returns the texts. For a NameID (eduPersonTargetedID), uses its text. Ignores other XML."""
    values = []
    for value in attribute.findall(assertion("AttributeValue")):
        inner = value[0] if len(value) == 1 and value[0].tag == assertion("NameID") else value
        if not len(inner):
            values.append(text_of(inner).strip())
    return tuple(values)


# Conditions that a verified assertion must meet, and its content (SAML profiles 4.1.4.3).

_LONGEST_NAME_ID = 1024
#: Conditions that have no effect here: assertion IDs are always remembered, and this server issues no assertions.
_HARMLESS = (assertion("OneTimeUse"), assertion("ProxyRestriction"))


class Assertion(NamedTuple):
    """The content of a verified assertion. ``name_id`` is empty if there is none (ADFS sends none by default), and
    ``name_id_format`` is empty if it has none.

    ``attributes`` are by Name, and by FriendlyName if no attribute has that Name. ``remember_until`` is how long ``id``
    must be remembered, in milliseconds, so that the assertion isn't used twice.
    """

    id: str
    name_id: str
    name_id_format: str
    attributes: dict[str, tuple[str, ...]]
    session_index: str | None
    authn_instant: str | None
    authn_context: str | None
    remember_until: int


def read_assertion(element: etree._Element, expected: Expected) -> Assertion:
    """Reads a verified assertion from the verified bytes. Raises :class:`SamlRefused`."""
    check_version_and_time(element, expected.now_ms)
    check_issuer(element, expected.issuer)
    subject = only_child(element, assertion("Subject"))
    ends = _check_conditions(only_child(element, assertion("Conditions")), expected)
    ends.append(_check_confirmations(subject, expected))
    session_index, authn_instant, authn_context = _read_sessions(element, expected.now_ms)
    name_id, name_id_format = _read_name_id(subject)
    return Assertion(
        id=element.get("ID", ""),
        name_id=name_id,
        name_id_format=name_id_format,
        attributes=read_attributes(element),
        session_index=session_index,
        authn_instant=authn_instant,
        authn_context=authn_context,
        remember_until=max(ends) + document.SKEW_MS,
    )


def _check_conditions(conditions: etree._Element, expected: Expected) -> list[int]:
    """Checks times and audiences. Every AudienceRestriction must contain this server's entity ID. Returns the end of
    validity, if there is one.

    An unknown condition makes the assertion invalid (SAML core 2.5.1.1).
    """
    _check_window(conditions, expected.now_ms)
    restrictions = 0
    for condition in conditions:
        if condition.tag == assertion("AudienceRestriction"):
            restrictions += 1
            audiences = [text_of(one).strip() for one in condition.findall(assertion("Audience"))]
            if expected.audience not in audiences:
                raise SamlRefused(_AUDIENCE.with_(quoted(", ".join(audiences))))
        elif condition.tag not in _HARMLESS:
            raise InvalidSaml(f"unknown condition {quoted(str(condition.tag))}")
    if not restrictions:
        raise InvalidSaml("no AudienceRestriction")
    end = conditions.get("NotOnOrAfter")
    return [] if end is None else [document.read_time(end)]


def _check_confirmations(subject: etree._Element, expected: Expected) -> int:
    """Checks the bearer confirmations. One valid confirmation is enough. Returns the latest end of the valid ones."""
    ends, reasons = [], []
    for confirmation in subject.findall(assertion("SubjectConfirmation")):
        for data in confirmation.iter(f"{{{ASSERTION}}}SubjectConfirmationData"):
            if expected.request_id is None:
                check_answers(data, None)
        try:
            ends.append(_check_confirmation(confirmation, expected))
        except SamlRefused as reason:
            reasons.append(str(reason))
    if not ends:
        raise InvalidSaml(f"no bearer confirmation matches: {'; '.join(reasons[:4]) or 'there is none'}")
    return max(ends)


def _check_confirmation(confirmation: etree._Element, expected: Expected) -> int:
    """Checks the recipient, end, and InResponseTo of a bearer confirmation (SAML profiles 4.1.4.2).

    NotBefore isn't allowed. If a provider sends it, it is checked rather than rejected.
    """
    if confirmation.get("Method") != BEARER:
        raise InvalidSaml(f"Method is {quoted(confirmation.get('Method'))}")
    data = only_child(confirmation, assertion("SubjectConfirmationData"))
    if data.get("Recipient") != expected.acs:
        raise SamlRefused(_RECIPIENT.with_(quoted(data.get("Recipient"))))
    check_answers(data, expected.request_id)
    _check_window(data, expected.now_ms)
    return document.read_time(data.get("NotOnOrAfter", ""))


def _check_window(element: etree._Element, now_ms: int) -> None:
    since, until = element.get("NotBefore"), element.get("NotOnOrAfter")
    if since is not None and document.is_future(since, now_ms):
        raise SamlRefused(_NOT_BEFORE.with_(quoted(since)))
    if until is not None and document.is_past(until, now_ms):
        raise SamlRefused(_EXPIRED.with_(quoted(until)))


def _read_name_id(subject: etree._Element) -> tuple[str, str]:
    """Returns the text and format of the NameID. Both are empty for a subject without one, which is legal (SAML core
    2.4.1).

    A name of another kind, such as an encrypted one, is rejected, not ignored.
    """
    if not any(subject.find(assertion(kind)) is not None for kind in ("NameID", "BaseID", "EncryptedID")):
        return "", ""
    name_id = only_child(subject, assertion("NameID"))
    text = text_of(name_id).strip()
    if not 0 < len(text) <= _LONGEST_NAME_ID:
        raise InvalidSaml("NameID is empty or too long")
    return text, name_id.get("Format", "")


def _read_sessions(element: etree._Element, now_ms: int) -> tuple[str | None, str | None, str | None]:
    """Returns the SessionIndex, AuthnInstant, and context class of the first AuthnStatement. Raises
    :class:`SamlRefused` if there is none, or if a session has ended."""
    statements = element.findall(assertion("AuthnStatement"))
    if not statements:
        raise InvalidSaml("no AuthnStatement")
    for statement in statements:
        until = statement.get("SessionNotOnOrAfter")
        if until is not None and document.is_past(until, now_ms):
            raise InvalidSaml(f"the session at the provider ended at {quoted(until)}")
        if document.is_future(statement.get("AuthnInstant", ""), now_ms):
            raise InvalidSaml(f"authenticated in the future: {quoted(statement.get('AuthnInstant'))}")
    first = statements[0]
    contexts = [text_of(one).strip() for one in first.iter(assertion("AuthnContextClassRef"))]
    return first.get("SessionIndex"), first.get("AuthnInstant"), next(iter(contexts), None)


# The order is: structure of the document; signature of the response, after which only its verified bytes are used;
# status and addresses; decryption; signature of the assertion, after which only its verified bytes are used;
# conditions. One signature is sufficient, but if there are two, both must be valid. Content of an unsigned envelope can
# only lead to a rejection.


class Policy(NamedTuple):
    """The pinned values of a provider.

    ``issuer`` is its entity ID, ``audience`` is this server's entity ID for the tenant, and ``acs`` is its assertion
    consumer address. Any of the ``certificates`` (DER) can sign. ``decryption_keys`` are private keys in PEM, newest
    first.
    """

    issuer: str
    audience: str
    acs: str
    certificates: tuple[bytes, ...]
    accept_expired_certificates: bool
    decryption_keys: tuple[bytes, ...]
    allow_idp_initiated: bool


def verify(unverified: UnverifiedResponse, policy: Policy, request_id: str | None, now_ms: int) -> Assertion:
    """Returns the verified assertion of a response. Raises :class:`SamlRefused` with the reason, which is for the log.

    ``request_id`` is the ID of our open AuthnRequest. None means unsolicited: the provider must allow that, and the
    response must not refer to any request. The caller remembers the assertion's ID and deletes the request.
    """
    response = document.parse(unverified.document)
    shape.check_response(response)
    check_status(response)
    if request_id is None and not policy.allow_idp_initiated:
        raise SamlRefused(_UNSOLICITED)
    content = shape.the_assertion(response)
    is_vouched_for = shape.is_signed(response)
    if is_vouched_for:
        response = _verified(response, policy, now_ms)
        shape.check_response(response)
        content = shape.the_assertion(response)
    expected = Expected(policy.issuer, policy.audience, policy.acs, request_id, now_ms)
    check_envelope(response, expected, is_vouched_for)
    if content.tag == assertion("EncryptedAssertion"):
        content = _decrypted(content, policy)
    if shape.is_signed(content):
        content = _verified(content, policy, now_ms)
        shape.check_assertion(content)
        is_vouched_for = True
    if not is_vouched_for:
        raise InvalidSaml("nothing is signed")
    return read_assertion(content, expected)


def _verified(element: etree._Element, policy: Policy, now_ms: int) -> etree._Element:
    return shape.verified(element, policy.certificates, now_ms, policy.accept_expired_certificates)


def _decrypted(encrypted: etree._Element, policy: Policy) -> etree._Element:
    """Returns the decrypted assertion. An invalid structure has the same reason as an unreadable one."""
    content = decrypted(encrypted, policy.decryption_keys)
    try:
        shape.check_assertion(content)
    except SamlRefused:
        raise SamlRefused(UNREADABLE) from None
    return content
