"""Parses an HTML page: its forms with their fields, and its links."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self


@dataclass
class Form:
    """A form with its prefilled fields. Buttons are sent only when clicked."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def of(self, kind: str) -> list[str]:
        """The names of the fields with a type."""
        return [name for name, its in self.kinds.items() if its == kind]

    @property
    def needs_no_one(self) -> bool:
        """Whether nothing must be filled in, because a script or a single button submits it."""
        return set(self.kinds.values()) <= {"hidden"}


class Page(HTMLParser):
    """A parsed page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self._form: Form | None = None
        self._select = ""
        self._option: str | None = None
        self._link: str | None = None
        self._text = ""

    @classmethod
    def of(cls, html: str) -> Self:
        """Parse a page."""
        page = cls()
        page.feed(html)
        page.close()
        return page

    def link(self, text: str) -> str:
        """The target of the link with this text."""
        return next(to for to, shown in self.links if text.lower() in shown.lower())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag == "a":
            self._link, self._text = given.get("href", ""), ""
        elif self._form is None:
            return
        elif tag in ("input", "button"):
            self._control(given.get("type", "submit" if tag == "button" else "text").lower(), name, value, given)
        elif tag in ("select", "textarea"):
            self._select = name if tag == "select" else ""
            self._field(name, "", tag)
        elif tag == "option" and self._select:
            # The first option is selected unless another one is; a missing value is the text.
            first = self._select not in self._form.fields or not self._form.fields[self._select]
            if "value" in given and (first or "selected" in given):
                self._form.fields[self._select] = value
            elif first or "selected" in given:
                self._option, self._text = self._select, ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "a" and self._link is not None:
            self.links.append((self._link, " ".join(self._text.split())))
            self._link = None
        elif tag == "option" and self._option is not None and self._form is not None:
            self._form.fields[self._option] = self._text.strip()
            self._option = None

    def _control(self, kind: str, name: str, value: str, given: dict[str, str]) -> None:
        assert self._form is not None
        if kind in ("submit", "image"):
            self._form.buttons.append((name, value))
        elif kind in ("checkbox", "radio"):
            if "checked" in given:
                self._field(name, value or "on", kind)
        elif kind != "button":
            self._field(name, value, kind)

    def _field(self, name: str, value: str, kind: str) -> None:
        assert self._form is not None
        if name:
            self._form.fields[name] = value
            self._form.kinds[name] = kind
