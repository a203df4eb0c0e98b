"""Texts that people enter, each declared once: bounds, label, hint and check.

The domain checks a text by its field. Interfaces read the same field: REST for its types and descriptions, forms for
labels, hints and ``maxlength``. So a text that one interface rejects is rejected by all of them, in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.errors import ValidationError
from manifest_auth.text import canonical
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import BUT_LINES, CONTROLS, at_least, at_most, matching

M = TypeVar("M", bound=msgspec.Struct)
#: Members that :func:`with_details` adds to a model.
Details = Mapping[str, str]
_BLANK = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u2800"  # the blank Braille pattern


class Field(NamedTuple):
    """A text that people enter.

    ``most``, ``least``: characters; with a ``least`` of 1 or more the text must not be blank. ``kind``: ``prose`` can
    have several lines. ``label`` and ``hint``: for forms, translated when they are shown. ``about``: for the API.
    ``autocomplete``: for a form that users fill in about themselves.
    """

    most: int
    least: int = 1
    label: str = ""
    hint: str = ""
    about: str | None = None
    kind: Literal["line", "prose", "email"] = "line"
    autocomplete: str = "off"

    def check(self, text: str, member: str) -> str:
        """Returns the text unchanged.

        Raises ValidationError, which names ``member``, for text that is too short, too long or blank, and for
        characters that it must not have.
        """
        if len(text) > self.most:
            raise ValidationError(details=[(member, at_most(self.most))])
        if self.kind == "email":
            return canonical.check_email(text, member)
        if len(text.strip(_BLANK)) < self.least:
            raise ValidationError(details=[(member, at_least(self.least))])
        return canonical.check_prose(text, member) if self.kind == "prose" else canonical.check_name(text, member)

    @property
    def meta(self) -> Meta:
        """The bounds and the description, for the type of a member."""
        bounds: dict[str, Any] = {"min_length": self.least or None, "max_length": self.most}
        return Meta(**bounds, description=self.about, extra_json_schema=self._pattern)

    @property
    def typed(self) -> Meta:
        """Returns only the upper bound, since a form shows an empty field again, with the error."""
        said = {} if self.kind == "email" else self._replace(least=0)._pattern
        return Meta(max_length=self.most, extra_json_schema=said)

    @property
    def _pattern(self) -> dict[str, Any]:
        """Returns the pattern of values that :meth:`check` accepts, as far as JSON Schema can express it."""
        if self.kind == "email":
            return {"pattern": matching(canonical.EMAIL_SHAPE)["pattern"].replace(r"\x7f", r"\x7f-\x9f")}
        none = BUT_LINES if self.kind == "prose" else CONTROLS
        return {"pattern": rf"^[^{none}]*[^\s{none}][^{none}]*$" if self.least else f"^[^{none}]*$"}


def declared_in(row: type) -> dict[str, Field]:
    """Returns the members of a row that are annotated with a field, and the field of each."""
    noted = {name: getattr(kind, "__metadata__", ()) for name, kind in get_type_hints(row, include_extras=True).items()}
    return {name: note for name, notes in noted.items() for note in notes if isinstance(note, Field)}


def wire_name(name: str) -> str:
    """Returns the name of a row's member on the wire and in forms: ``first_name`` is ``firstName``."""
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


class Input(Enum):
    """The values that a model accepts for its ``details``: ``BODY`` and ``CHANGE`` accept texts within the bounds, and
    ``FORM`` any text, which the domain checks. Omitted members are empty; for a ``CHANGE``, they are not among the
    details."""

    BODY = "body"
    CHANGE = "change"
    FORM = "form"


def with_details(declared: Mapping[str, Field], given: Input | None = None) -> Callable[[type[M]], type[M]]:
    """Creates a model that replaces its member ``details`` with one member for each declared field. ``given`` is None
    for a model that is only shown. Its ``details`` reads the given ones, by the names of the row."""
    kinds: dict[str, tuple[Any, ...]] = dict.fromkeys(declared, (str,))
    for name, field in declared.items():
        if given is Input.CHANGE:
            kinds[name] = (Union[Annotated[str, field.meta], UnsetType], UNSET)  # noqa: UP007 - types are values
        elif given:
            kinds[name] = (str if given is Input.FORM else Annotated[str, field.meta], "")

    def details(self: msgspec.Struct) -> dict[str, str]:
        return {name: text for name in declared if (text := getattr(self, name)) is not UNSET}

    def made(model: type[M]) -> type[M]:
        members: list[tuple[Any, ...]] = []
        for one in msgspec.structs.fields(model):
            if one.name == "details":
                members += ((name, *kind) for name, kind in kinds.items())
            else:
                members.append((one.name, one.type) if one.required else (one.name, one.type, one.default))
        own = {name: it for name, it in vars(model).items() if name == "__doc__" or not name.startswith("__")}
        namespace = {name: it for name, it in own.items() if name not in model.__struct_fields__}
        return msgspec.defstruct(  # type: ignore[return-value]  # as the model is declared
            model.__name__,
            members,
            bases=model.__bases__,
            namespace={**namespace, "details": property(details)},
            module=model.__module__,
            rename="camel",
            frozen=True,
        )

    return made


# Accounts
FIRST_NAME = Field(100, 0, _("First name"), autocomplete="given-name")
LAST_NAME = Field(100, 0, _("Last name"), autocomplete="family-name")
TITLE = Field(
    100,
    0,
    _("Title (optional)"),
    _("Your position. For example, Head of maintenance."),
    autocomplete="organization-title",
)
EMAIL = Field(254, 3, _("Email address"), kind="email")
DESCRIPTION = Field(2000, 0, kind="prose")
PASSWORD = Field(256, 1, _("Password"))
USERNAME = Field(64, 1, _("User name"))
REASON = Field(200, 1, _("Reason"), _("Recorded in the audit trail"), "Recorded in the audit trail.")
PASSKEY_NAME = Field(64, 0, _("Name (optional)"), _("Helps you recognize this passkey."))

# Clients
CLIENT_NAME = Field(200, 1, _("Name"), _("For example, Acme Corporation"))
BRAND_NAME = Field(100, 0, _("Name (optional)"), about="Shown on pages. Default: the client's name.")
CONTACT = Field(200, 0, _("Contact"), about="The support contact that pages show, a line of plain text.")
DISPLAY_NAME = Field(200, 0, _("Button label"))
CLAIM_REASON = Field(500, 10, _("Reason"), about="Recorded in the audit trail.")

# Devices and machines
APP_NAME = Field(100, 1, _("Name"), _("Shown to users. For example, Reports"), "Shown to users.")
SHARED_DEVICE_NAME = Field(80, 1, _("Name"), _("For example, Headset 12"))
PLACE = Field(80, 0, _("Place (optional)"), _("For example, Hall 3"))
SECRET_LABEL = Field(
    100,
    0,
    _("Label (optional)"),
    _("For example, the host that uses it"),
    "A line of text that helps people recognize it.",
)
SERVICE_DESCRIPTION = Field(500, 0, kind="prose")

# Work
WORK_NAME = Field(200)
WORK_DESCRIPTION = Field(10_000, 0, kind="prose")
COMMENT = Field(2000, 0, kind="prose")
GIVEN_COMMENT = COMMENT._replace(least=1)
ASSET = Field(200)
STEP_TITLE = Field(200)
INSTRUCTIONS = Field(10_000, 0, kind="prose")
RECORD_TEXT = Field(10_000, kind="prose")
CHOICE = Field(200)
UNIT = Field(40)
FILE_NAME = Field(200, about="Name of the file.")

# Entered to look something up or for verification, and not stored
SEARCH = Field(200, 0)
TOKEN = Field(100)
EVENT_NAME = Field(100, 0)
CODE = Field(64)
IDENTIFIER = Field(63)

Email = Annotated[str, EMAIL.meta]
Password = Annotated[str, PASSWORD.meta]
Token = Annotated[str, TOKEN.meta]

#: For a form, which shows an empty field again with the error.
TypedEmail = Annotated[str, EMAIL.typed]
TypedPassword = Annotated[str, PASSWORD.typed]
TypedToken = Annotated[str, TOKEN.typed]
