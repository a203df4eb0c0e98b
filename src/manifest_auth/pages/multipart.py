"""Form submissions with a file, as browsers send them (RFC 7578): fields, and a single file.

Parsed strictly: anything that browsers don't send is rejected, so that no two parsers interpret the same bytes
differently.
"""

from __future__ import annotations

import re

from manifest_auth.errors import UnsupportedMediaType, ValidationError
from manifest_auth.http import Head
from manifest_auth.text import strict_json

KIND = "multipart/form-data"
_BOUNDARY = re.compile(r"multipart/form-data; ?boundary=\"?([0-9A-Za-z'()+_,./:=?-]{1,70})\"?\Z", re.IGNORECASE)
_PART = re.compile(
    rb'\r\nContent-Disposition: form-data; name="([A-Za-z][A-Za-z0-9.-]{0,63})"(; filename="[^"\r\n]{0,1000}")?'
    rb"(\r\nContent-Type: [\x21-\x7e]{1,200}(?:; ?[\x20-\x7e]{1,100})?)?\r\n\r\n(.*)\Z",
    re.DOTALL | re.IGNORECASE,
)
_REFUSED = "The body isn't a valid form"


def is_multipart(head: Head) -> bool:
    return (head.content_type or "").partition(";")[0].strip().lower() == KIND


def read(head: Head, body: bytes, file: str, most: int) -> tuple[dict[str, str], bytes]:
    """Returns the texts of the fields, each once, and the one file, empty if none was chosen. ``file``: the name of its
    field; ``most``: the maximum number of text fields. Raises UnsupportedMediaType for a body in any other format, and
    ValidationError for too many fields or fields that no form has."""
    boundary = _BOUNDARY.match(head.content_type or "")
    if boundary is None or head.content_encoding not in (None, "", "identity"):
        raise UnsupportedMediaType()
    between = b"\r\n--" + boundary[1].encode("ascii")
    before, *parts = (b"\r\n" + body).split(between)
    if before or not parts or parts.pop() not in (b"--", b"--\r\n") or not parts:
        raise UnsupportedMediaType()
    if len(parts) > most + 1:
        raise ValidationError(_REFUSED)
    pairs, found = list[tuple[str, str]](), list[bytes]()
    for part in parts:
        read_part = _PART.match(part)
        if read_part is None or (read_part[2] is not None) != (read_part[1] == file.encode()):
            raise UnsupportedMediaType()
        name, is_file, _, value = read_part.groups()
        if is_file is not None:
            found.append(value)
        else:
            pairs.append((name.decode("ascii"), _text(value)))
    if len(found) > 1:
        raise UnsupportedMediaType()
    if len(pairs) > most:
        raise ValidationError(_REFUSED)
    try:
        texts = strict_json.unique_members(pairs)
        strict_json.check(texts, "The body")
    except strict_json.Malformed as error:
        raise ValidationError(_REFUSED) from error
    return texts, found[0] if found else b""


def as_text(file: bytes) -> str:
    """Reads a text file as if it had been typed. Other content becomes text that matches nothing, and is rejected like
    any invalid text."""
    text = file.decode("utf-8-sig", "replace")
    return "".join(each if each.isprintable() or each in "\r\n\t" else "\ufffd" for each in text)


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValidationError(_REFUSED) from None
