"""Both consoles use the reader's language: a Japanese page contains no English sentences, except where marked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.pages.console.provider_wizard import NEW, Wizard
from tests.http.pages.console.test_branding import part, upload
from tests.http.pages.test_hostile_everywhere import world
from tests.support.application import App
from tests.support.background_jobs import check_providers
from tests.support.oidc_op import Op
from tests.support.pictures import Picture
from tests.support.routes import PAGES, filled
from tests.support.visitor import Page

pytestmark = [pytest.mark.one_store, pytest.mark.usefixtures("another_day")]

CONSOLES = [
    route
    for route in PAGES
    if route.method == "GET" and route.template and route.path.startswith(("/console", "/installation"))
]
#: Names that are the same in every language: products, and texts on their pages.
NAMES = (
    "Groups assigned to the application",
    "Groups claim filter",
    "Claim name: groups",
    "Full group path: off",
    "openid profile email roles",
)
#: Elements without sentences or marked as English, and attributes that people read or hear.
_NOT = "ancestor-or-self::*[self::script or self::style or self::code or self::pre or self::textarea or @lang='en']"
_TEXTS = f"//title/text() | //body//text()[not(parent::*[{_NOT}])]"
_ATTRIBUTES = f"//*[not({_NOT})]/@*[name()='aria-label' or name()='alt' or name()='placeholder' or name()='title']"
#: Three consecutive words of a sentence, longer than any name.
_SENTENCE = re.compile(r"[A-Za-z]['’A-Za-z]*,?( [a-z]['’a-z]+){2,}")


def english(page: Page) -> Iterator[str]:
    """The English sentences on a page."""
    for text in page.tree.xpath(f"{_TEXTS} | {_ATTRIBUTES}"):
        said = " ".join(str(text).split())
        for name in NAMES:
            said = said.replace(name, "")
        if _SENTENCE.search(said):
            yield said


async def shown(wizard: Wizard, values: dict[str, Any], op: Op) -> dict[str, Page]:
    """Pages of both consoles, by name."""
    visitor = wizard.visitor
    pages = {route.path: await visitor.get(filled(route.path, **values)) for route in CONSOLES}
    pages["every event"] = await visitor.get("/console/audit?from=1970-01-01")
    pages["every event here"] = await visitor.get("/installation/audit?from=1970-01-01")
    chosen = [href.rpartition("=")[2] for href in pages[NEW].links().values() if "preset=" in href]
    assert len(chosen) >= 9
    for preset in chosen:
        for step in ("", "theirs"):
            pages[f"{preset} {step}"] = await visitor.get(f"{NEW}?preset={preset}&name=n-{preset}&step={step}")
    pages["nothing typed"] = await wizard.make("oidc")
    pages["no metadata"] = await Wizard(visitor, "saml").make("saml", saml__metadata="<a/>")
    await wizard.make_oidc(op, oidc__issuer="https://nobody.invalid", oidc__unchecked="on")
    for step in ("", "ours", "theirs", "rules", "test", "try", "live"):
        pages[f"provider {step}"] = await wizard.step(step)
    pages["findings"] = await wizard.act("test", await wizard.step("live"))
    assert await check_providers(visitor.app) > 0
    pages["checked"] = await visitor.get("/console")
    picture = Picture(width=900, height=20).encoded()
    pages["too wide"] = await upload(visitor, part("act", b"logo"), part("logo", picture, "logo.png"))
    domains = await visitor.get("/console/domains")
    pages["no domain"] = await visitor.submit(domains, "/console/domains", {"act": "claim"}, domain="com")
    invitation = await visitor.get("/console/invite")
    pages["no address"] = await visitor.submit(invitation, "/console/invite", people="zoe")
    return {name: page for name, page in pages.items() if page.reply.text}


async def test_no_english_sentence_stands_in_a_console_in_japanese(app: App, op: Op) -> None:
    visitor, values = await world(app, "Zoe")
    visitor.cookies["lang"] = "ja"
    pages = await shown(Wizard(visitor, "told"), values, op)
    assert {page.tree.get("lang") for page in pages.values()} == {"ja"}
    assert len(pages) > 60
    assert {name: found for name, page in pages.items() if (found := [*english(page)])} == {}
