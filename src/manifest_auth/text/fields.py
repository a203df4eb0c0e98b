"""Texts that people enter, each declared once: bounds, label, hint and check.

The domain checks a text by its field. Interfaces read the same field: REST for its types and descriptions, forms for
labels, hints and ``maxlength``. So a text that one interface refuses is refused by all of them, in the same words.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from manifest_auth.errors import ValidationError
from manifest_auth.text import canonical
from manifest_auth.text.json_schema import BUT_LINES, CONTROLS, matching
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import at_least, at_most

_BLANK = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u2800"  # the blank Braille pattern


class Field(NamedTuple):
    """A text that people enter.

    ``most``, ``least``: characters; with a ``least`` of 1 or more the text must not be blank. ``kind``: ``prose`` can
    have several lines. ``label`` and ``hint``: for forms, translated where they are shown. ``about``: for the API.
    """

    most: int
    least: int = 1
    label: str = ""
    hint: str = ""
    about: str | None = None
    kind: Literal["line", "prose", "email"] = "line"

    def check(self, text: str, member: str) -> str:
        """Return the text unchanged.

        Raises ValidationError, which names ``member``, for a text that is too short, too long or blank, and for
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
        """The upper bound alone: a form shows an empty field again, with what is missing."""
        said = {} if self.kind == "email" else self._replace(least=0)._pattern
        return Meta(max_length=self.most, extra_json_schema=said)

    @property
    def _pattern(self) -> dict[str, Any]:
        """What :meth:`check` takes, as far as JSON Schema can say it."""
        if self.kind == "email":
            return {"pattern": matching(canonical.EMAIL_SHAPE)["pattern"].replace(r"\x7f", r"\x7f-\x9f")}
        none = BUT_LINES if self.kind == "prose" else CONTROLS
        return {"pattern": rf"^[^{none}]*[^\s{none}][^{none}]*$" if self.least else f"^[^{none}]*$"}


# Accounts
FIRST_NAME = Field(100, 0, _("First name"))
LAST_NAME = Field(100, 0, _("Last name"))
TITLE = Field(100, 0, _("Title"), _('Your position, like "Head of maintenance". May stay empty.'))
EMAIL = Field(254, 3, _("E-mail address"), kind="email")
DESCRIPTION = Field(2000, 0, kind="prose")
PASSWORD = Field(256, 1, _("Password"))
USERNAME = Field(64, 1, "User name")
REASON = Field(200, 1, "Reason", "For the audit trail, up to 200 characters.", "For the audit trail.")
PASSKEY_NAME = Field(64, 0, _("Name"), _("By which you know it later. May stay empty."))

# Clients
CLIENT_NAME = Field(200, 1, "Name", "As its users know it, like Acme Corporation.")
BRAND_NAME = Field(100, 0, "Name", about="As pages show it; empty: the client's name.")
CONTACT = Field(200, 0, "Contact", about="A line of plain text: who helps users, as pages show it.")
DISPLAY_NAME = Field(200, 0, "What people read on the button")
CLAIM_REASON = Field(500, 10, "Reason", about="For the audit trail.")

# Devices and machines
APP_NAME = Field(100, 1, "Name", "As users see it when they let a device in.", "As users see it.")
SHARED_DEVICE_NAME = Field(80, 1, "Name", "As people know it, up to 80 characters.")
PLACE = Field(80, 0, "Place", "Where it is. May stay empty.")
SECRET_LABEL = Field(
    100, 0, "Label", "By which you know it: the host or the program.", "A line of text, by which people know it."
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

# Entered to look something up or to prove something, and not stored
SEARCH = Field(200, 0)
TOKEN = Field(100)
EVENT_NAME = Field(100, 0)
CODE = Field(64)
IDENTIFIER = Field(63)

FirstName = Annotated[str, FIRST_NAME.meta]
LastName = Annotated[str, LAST_NAME.meta]
Title = Annotated[str, TITLE.meta]
Email = Annotated[str, EMAIL.meta]
Password = Annotated[str, PASSWORD.meta]
Token = Annotated[str, TOKEN.meta]

#: Of a form, where an empty field is shown again with the reason.
TypedEmail = Annotated[str, EMAIL.typed]
TypedPassword = Annotated[str, PASSWORD.typed]
TypedToken = Annotated[str, TOKEN.typed]
