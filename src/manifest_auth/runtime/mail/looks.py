"""Writes an email's text again as HTML, with the name, colors, and logo of its client.

The HTML is created when the email is sent, so the queue stores only the text. It loads nothing from elsewhere: the logo
is a part of the message, and the only address in it is that of the one-time link. Everything else is escaped text.
"""

from __future__ import annotations

import re
from html import escape
from typing import NamedTuple

from manifest_auth.runtime.mail.writing import Email
from manifest_auth.runtime.mail.writing import sentence as _
from manifest_auth.text.languages import catalogue

LOGO = "logo@manifest-auth"
_HIGHEST, _WIDEST = 40, 200
_OPEN = _("Open link")
#: A paragraph that consists only of an address with a token, as `opened` of `writing` creates it.
_LINK = re.compile(r"https?://\S+#(\S+)")


class Look(NamedTuple):
    """The look of an email. ``name``: shown if there is no logo. The colors are ``#rrggbb``, for a button, its text,
    and links on light and on dark backgrounds. ``logo``: a PNG with its size in the header, or empty."""

    name: str
    accent: str
    on_accent: str
    link: str
    link_on_dark: str
    logo: bytes = b""


PRODUCT = Look(name="Manifest", accent="#3346c9", on_accent="#ffffff", link="#3346c9", link_on_dark="#a9b6ff")
_STYLE = """:root{{color-scheme:light dark;supported-color-schemes:light dark}}
@media(prefers-color-scheme:dark){{.page{{background:#13141a!important}}
.card{{background:#1c1e26!important;border-color:#343844!important;color:#eceef4!important}}
.name,.code{{color:#eceef4!important}}.code{{background:#22252e!important;border-color:#343844!important}}
.button{{border-color:{link_on_dark}!important}}.link{{color:{link_on_dark}!important}}}}"""
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Hiragino Sans','Noto Sans CJK JP',sans-serif"
_TABLE = 'role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"'
_PAGE = """<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="format-detection" content="telephone=no,date=no,address=no,email=no,url=no">
<title>{subject}</title>
<style>
{style}
</style>
</head>
<body class="page" style="margin:0;padding:0;background:#f6f5f2">
<table {table} class="page" style="background:#f6f5f2"><tr><td align="center" style="padding:24px 12px">
<table {table} style="max-width:560px;font:16px/1.55 {font};overflow-wrap:anywhere">
<tr><td class="name" style="padding:0 4px 16px;color:#1b1c22;font-weight:bold">{head}</td></tr>
<tr><td class="card" style="padding:8px 28px;background:#ffffff;border:1px solid #dedcd5;border-radius:16px;\
color:#1b1c22">
{paragraphs}
</td></tr>
</table>
</td></tr></table>
</body>
</html>
"""
_PARAGRAPH = '<p style="margin:20px 0">{}</p>'
_BUTTON = (
    '<a class="button" href="{address}" style="display:inline-block;padding:12px 24px;background:{accent};'
    'color:{on_accent};border:1px solid {link};border-radius:10px;font-weight:bold;text-decoration:none">{label}</a>'
    '<br><br><a class="link" href="{address}" style="color:{link}">{address}</a>'
)
_CODE = (
    '<code class="code" style="display:inline-block;padding:6px 10px;background:#fbfaf8;border:1px solid #dedcd5;'
    'border-radius:6px;color:#1b1c22">{}</code>'
)


def html_of(email: Email, look: Look) -> str:
    """Returns the HTML document. Each paragraph of the text becomes a paragraph; a one-time link gets a button, and its
    code a frame."""
    paragraphs, token = [], ""
    for text in email.text.rstrip("\n").split("\n\n"):
        if found := _LINK.fullmatch(text):
            token = found[1]
            label = escape(_OPEN.said(catalogue(email.language), ""))
            colors = {"accent": look.accent, "on_accent": look.on_accent, "link": look.link}
            inner = _BUTTON.format(address=escape(text), label=label, **colors)
        else:
            inner = _CODE.format(escape(text)) if text == token else escape(text)
        paragraphs.append(_PARAGRAPH.format(inner))
    return _PAGE.format(
        lang=escape(email.language),
        subject=escape(email.subject),
        style=_STYLE.format(link_on_dark=look.link_on_dark),
        table=_TABLE,
        font=_FONT,
        head=_head(look),
        paragraphs="\n".join(paragraphs),
    )


def _head(look: Look) -> str:
    """Returns the logo on a light background, because it might be dark; without one, the name."""
    if not look.logo:
        return escape(look.name)
    width, height = (int.from_bytes(look.logo[at : at + 4], "big") for at in (16, 20))  # from the header (PNG, 11.2.2)
    scale = min(1.0, _HIGHEST / height, _WIDEST / width)
    size = f'width="{round(width * scale) or 1}" height="{round(height * scale) or 1}"'
    style = "display:block;padding:8px;background:#ffffff;border-radius:8px"
    return f'<img src="cid:{LOGO}" alt="{escape(look.name)}" {size} style="{style}">'
