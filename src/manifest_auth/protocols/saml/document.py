"""XML of SAML: the only parser of this package, and the names, times, and exceptions that every module uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from xml.sax.saxutils import quoteattr

from lxml import etree

from manifest_auth.errors import Reason
from manifest_auth.text.languages import marked as _

_LONGEST = 200
_PREFIX = "response: "
RESPONSE = Reason(
    f"{_PREFIX}…",
    cause="The response doesn't follow SAML 2.0 and [the server's requirements](generic.md#saml)",
    cure="See the rest of the reason, and check the provider's settings",
)


class SamlRefused(Exception):
    """A response is rejected. The text is the reason without its prefix. The sender never sees it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text.removeprefix(_PREFIX))
        self.reason = reason


class InvalidSaml(SamlRefused):
    """A response, document, or certificate breaks a rule of SAML or of this package.

    Only texts about metadata and certificates are shown, and only to an administrator.
    """

    def __init__(self, text: str) -> None:
        super().__init__(RESPONSE.with_(text))
        self.args = (text,)  # the marked text


class NotBase64(InvalidSaml):
    """The input isn't base64. The request is at fault, and the sender can see this error."""


def quoted(text: str | None) -> str:
    """Makes text from outside safe to use in a reason: a single, printable, shortened line."""
    if text is None:
        return "none"
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return '"' + "".join(letter if letter.isprintable() else "·" for letter in cut) + '"'


PROTOCOL: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
ASSERTION: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
METADATA: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XENC: Final = "http://www.w3.org/2001/04/xmlenc#"
XENC11: Final = "http://www.w3.org/2009/xmlenc11#"
MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED: Final = f"{DS}enveloped-signature"
XINCLUDE: Final = "http://www.w3.org/2001/XInclude"
XSLT: Final = "http://www.w3.org/1999/XSL/Transform"

HTTP_POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
HTTP_REDIRECT: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
ENTITY_FORMAT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
RSA_SHA256: Final = f"{MORE}rsa-sha256"


def protocol(name: str) -> str:
    """The qualified name of an element of the protocol namespace."""
    return f"{{{PROTOCOL}}}{name}"


def assertion(name: str) -> str:
    """The qualified name of an element of the assertion namespace."""
    return f"{{{ASSERTION}}}{name}"


def metadata(name: str) -> str:
    """The qualified name of an element of the metadata namespace."""
    return f"{{{METADATA}}}{name}"


def ds(name: str) -> str:
    """The qualified name of an element of the XML Signature namespace."""
    return f"{{{DS}}}{name}"


def xenc(name: str) -> str:
    """The qualified name of an element of the XML Encryption namespace."""
    return f"{{{XENC}}}{name}"


# Times in SAML: xs:dateTime in UTC, with an optional fraction and offset (SAML core 1.3.3).


#: The allowed clock difference in either direction, in milliseconds.
SKEW_MS = 60_000

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,20}))?(?:Z|([+-])(\d\d):(\d\d))?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_time(text: str) -> int:
    """Returns milliseconds since 1970. A time without a zone is in UTC, as SAML core requires. Raises
    :class:`SamlRefused`."""
    found = _TIME.fullmatch(text.strip(" \t\r\n"))
    if found is None:
        raise InvalidSaml(f"not a time: {quoted(text)}")
    seconds, fraction, sign, hours, minutes = found.groups()
    try:
        at = datetime.fromisoformat(f"{seconds}+00:00")
    except ValueError:
        raise InvalidSaml(f"not a time: {quoted(text)}") from None
    ms = (at - _EPOCH) // timedelta(milliseconds=1) + int(((fraction or "") + "000")[:3])
    if sign is None:
        return ms
    offset = (int(hours) * 60 + int(minutes)) * 60_000
    return ms - offset if sign == "+" else ms + offset


def write_time(ms: int) -> str:
    """Returns the time as xs:dateTime in UTC with milliseconds."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_past(until: str, now_ms: int) -> bool:
    """Whether a NotOnOrAfter is in the past, allowing for clock skew."""
    return now_ms >= read_time(until) + SKEW_MS


def is_future(since: str, now_ms: int) -> bool:
    """Whether a NotBefore or an instant is in the future, allowing for clock skew."""
    return read_time(since) > now_ms + SKEW_MS


# All XML goes through :func:`parse`. Documents that two parsers read differently caused CVE-2025-25291 and
# CVE-2025-25292, and comments that split a text caused CVE-2017-11427. So there is only one parser, and ambiguous
# documents are rejected before it runs.

LARGEST = 256 * 1024
_MOST_TAGS = 6_000  # start and end tags; a user in 2,500 groups stays below this
_DEEPEST = 32
_MOST_ATTRIBUTES = 40
_MOST_DECLARATIONS = 8_000
_MOST_DECLARATIONS_OF_ONE = 24
_MOST_DIFFERENT_DECLARATIONS = 100

_DECLARATION = re.compile(rb"<\?xml[ \t\r\n][^<>?]*\?>")
_ENCODING = re.compile(rb"encoding[ \t\r\n]*=[ \t\r\n]*[\"']([^\"']*)[\"']")
#: Short, because exclusive canonicalization can repeat a namespace on every element.
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,30}:[!-~]{1,200}")
_BOM = b"\xef\xbb\xbf"

#: A prefix of one of these namespaces must have no other meaning in the document. Numbered prefixes can have several:
#: ElementTree restarts numbering in every piece, and pysaml2 joins the pieces (an EncryptedData in a Response).
_PROTECTED = {PROTOCOL, ASSERTION, DS, XENC, XENC11, EXCLUSIVE}
_CUSTOMARY = {"saml": ASSERTION, "saml2": ASSERTION, "samlp": PROTOCOL, "saml2p": PROTOCOL, "ds": DS, "xenc": XENC}
_NUMBERED = re.compile(r"ns[0-9]+")
_FORBIDDEN = {XINCLUDE, XSLT}


def parse(document: bytes, *, largest: int = LARGEST, comments: bool = False) -> etree._Element:
    """Returns the root element. Raises :class:`SamlRefused` for anything other than plain, small, shallow XML in UTF-8.

    ``comments`` allows comments between elements. A text that contains a comment is rejected; see :func:`text_of`.
    """
    root = _parsed(_plain(document, largest, comments))
    _check(root)
    return root


def parse_inside(fragment: bytes, declared: Mapping[str | None, str]) -> etree._Element:
    """Returns an element as a separate document. ``declared`` contains prefixes from the surrounding elements."""
    clear = fragment.removeprefix(_BOM)
    start = _DECLARATION.match(clear)
    clear = clear[start.end() if start else 0 :].strip(b" \t\r\n")
    namespaces = "".join(
        f" xmlns{':' + prefix if prefix else ''}={quoteattr(uri)}" for prefix, uri in declared.items() if uri
    )
    wrapped = b"<in" + namespaces.encode() + b">" + clear + b"</in>"
    wrapper = _parsed(_plain(wrapped, LARGEST, comments=False))
    if len(wrapper) != 1 or wrapper.text or wrapper[0].tail:
        raise InvalidSaml("not exactly one element")
    _check(wrapper[0])
    return standalone(wrapper[0])


def standalone(element: etree._Element) -> etree._Element:
    """Returns an element as the root of a separate document, with the prefixes of its old position."""
    return _parsed(etree.tostring(element, with_tail=False))


def text_of(element: etree._Element) -> str:
    """Returns the text of an element that has exactly one text node and no other content. Raises
    :class:`SamlRefused`."""
    if len(element):
        raise InvalidSaml(f"{quoted(local(element))} contains more than text")
    return element.text or ""


def local(element: etree._Element) -> str:
    """Returns the name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def parser() -> etree.XMLParser:
    """Creates the parser: no DTD, no entities, no network, no recovery, with libxml2's limits."""
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        remove_comments=False,
        remove_pis=False,
        strip_cdata=False,
        collect_ids=False,
    )


def _plain(document: bytes, largest: int, comments: bool) -> bytes:
    """Returns the document without its byte order mark, after checks before parsing.

    In well-formed XML, ``<`` occurs only at the start of markup. So a search for ``<!`` and ``<?`` finds every DOCTYPE,
    comment, CDATA section, and processing instruction, and splitting at ``<`` finds every tag.
    """
    if len(document) > largest:
        raise InvalidSaml(_("larger than %(number)s bytes", number=largest))
    document = document.removeprefix(_BOM)
    try:
        document.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidSaml(_("not UTF-8")) from None
    start = _DECLARATION.match(document)
    body = document[start.end() if start else 0 :]
    if start and any(name.lower() != b"utf-8" for name in _ENCODING.findall(start.group())):
        raise InvalidSaml(_("an encoding other than UTF-8 is declared"))
    if b"<?" in body:
        raise InvalidSaml(_("processing instruction"))
    if re.search(rb"<!(?!--)" if comments else rb"<!", body):
        raise InvalidSaml(_("DOCTYPE, comment, or CDATA section"))
    if body.count(b"<") > _MOST_TAGS:
        raise InvalidSaml("too many elements")
    if body.count(b"xmlns") > _MOST_DECLARATIONS or any(
        tag.count(b"xmlns") > _MOST_DECLARATIONS_OF_ONE for tag in body.split(b"<")
    ):
        raise InvalidSaml("too many namespace declarations")
    return document


def _parsed(document: bytes) -> etree._Element:
    try:
        return etree.fromstring(document, parser())
    except etree.LxmlError as error:
        raise InvalidSaml(_("not well-formed: %(error)s", error=quoted(str(error)))) from None


def _check(root: etree._Element) -> None:
    """Checks the depth, attributes, and namespaces of all elements."""
    depth = 0
    bound: dict[str, str] = {}
    declared: set[tuple[str, str]] = set()
    for event, item in etree.iterwalk(root, events=("start", "end", "start-ns")):
        if event == "start":
            depth += 1
            if depth > _DEEPEST:
                raise InvalidSaml("nested too deeply")
            if len(item.attrib) > _MOST_ATTRIBUTES:
                raise InvalidSaml("too many attributes")
        elif event == "end":
            depth -= 1
        elif item not in declared:
            declared.add(item)
            _declare(bound, *item)
            if len(declared) > _MOST_DIFFERENT_DECLARATIONS:
                raise InvalidSaml("too many different namespace declarations")


def _declare(bound: dict[str, str], prefix: str, uri: str) -> None:
    """Checks the declaration of a prefix. Relative namespaces make canonicalization fail or differ (CVE-2025-66568)."""
    if uri in _FORBIDDEN:
        raise InvalidSaml(f"namespace {quoted(uri)}")
    if uri and not _ABSOLUTE.fullmatch(uri):
        raise InvalidSaml(f"namespace {quoted(uri)} is relative or too long")
    if not prefix:  # Entra ID and ADFS change the default namespace from element to element
        return
    before = bound.setdefault(prefix, uri)
    if before != uri and (before in _PROTECTED or uri in _PROTECTED) and not _NUMBERED.fullmatch(prefix):
        raise InvalidSaml(f"prefix {quoted(prefix)} has two meanings")
    if _CUSTOMARY.get(prefix, uri) != uri:
        raise InvalidSaml(f"prefix {quoted(prefix)} is bound to a different namespace")
