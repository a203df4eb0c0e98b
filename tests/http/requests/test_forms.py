"""The only accepted form, the SAML response, is parsed as strictly as JSON."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.application import App, Reply
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix

pytestmark = pytest.mark.one_store

SAML = "/api/client/auth/okta-saml"
FORM = "application/x-www-form-urlencoded"
GOOD = b"SAMLResponse=bm8gWE1M&RelayState=x"


async def post(app: App, content: bytes, media_type: str = FORM, **headers: str) -> Reply:
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    return await app.send("POST", SAML, content=content, headers={"Content-Type": media_type, **lines})


@matrix("media_type", [FORM, FORM.upper(), f"{FORM}; charset=utf-8", f"{FORM} ;charset=UTF-8"])
async def test_a_form_is_read_and_its_response_judged(app: App, media_type: str) -> None:
    check_refusal(await post(app, GOOD, media_type), 401, "SSO_FAILED")


NO_FORM = {
    "nothing": b"",
    "no response": b"RelayState=x",
    "an empty response": b"SAMLResponse=&RelayState=x",
    "another spelling": b"samlresponse=bm8",
    "a response given twice": b"SAMLResponse=bm8&SAMLResponse=bm8",
    "a state given twice": GOOD + b"&RelayState=y",
    "an unknown field given twice": GOOD + b"&x=1&x=1",
    "a NUL": b"SAMLResponse=bm8%00",
    "a NUL in a name": GOOD + b"&x%00=1",
    "bytes that are no UTF-8": b"SAMLResponse=bm8&RelayState=%ff%fe",
    "a surrogate": b"SAMLResponse=bm8&RelayState=%ed%a0%80",
    "raw bytes": b"SAMLResponse=\xc3\xbc",
    "too many fields": b"&".join(b"f%d=1" % n for n in range(60)) + b"&" + GOOD,
}


@matrix("name", NO_FORM)
async def test_an_invalid_sound_form_is_rejected(app: App, name: str) -> None:
    check_refusal(await post(app, NO_FORM[name]), 400, "VALIDATION_ERROR")


@matrix("media_type", ["text/plain", "multipart/form-data; boundary=x", f"{FORM}2", "text/xml", ""])
async def test_no_other_media_type_is_read(app: App, media_type: str) -> None:
    check_refusal(await post(app, GOOD, media_type), 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_compressed_form_is_rejected(app: App) -> None:
    check_refusal(await post(app, GOOD, Content_Encoding="gzip"), 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_foreign_page_can_post_it_since_providers_are_foreign_pages(app: App) -> None:
    reply = await post(app, GOOD, Origin="https://idp.example", Sec_Fetch_Site="cross-site")
    check_refusal(reply, 401, "SSO_FAILED")


texts = st.one_of(st.text(max_size=60), st.sampled_from(["PHNhbWxwOlJlc3BvbnNlLz4=", "\x00", "https://x", "A" * 400]))
fields = st.dictionaries(st.sampled_from(["SAMLResponse", "RelayState"]) | texts, texts, max_size=5)


async def test_no_form_is_a_bug(app: App) -> None:
    loop = asyncio.get_running_loop()

    @settings(max_examples=80, database=None, suppress_health_check=list(HealthCheck))
    @given(body=fields.map(lambda given: urlencode(given, errors="surrogatepass").encode()) | st.binary(max_size=80))
    def throw(body: bytes) -> None:
        check(asyncio.run_coroutine_threadsafe(post(app, body), loop).result(30))

    def check(reply: Any) -> None:
        assert reply.status in (400, 401), reply.text
        check_refusal(reply, reply.status, reply.code)

    await asyncio.to_thread(throw)
