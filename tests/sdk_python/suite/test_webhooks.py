"""Events are taken from the server alone, and only while they are new."""

from __future__ import annotations

import time
from base64 import b64encode
from hmac import digest

import pytest

from manifest_auth_client import InvalidWebhook, verify_webhook, webhooks

#: The example of the Standard Webhooks specification.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + b64encode(bytes(32)).decode()
BODY = b'{"test": 2432232314}'
AT = 1614265330
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


@pytest.fixture(autouse=True)
def _then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks.time, "time", lambda: AT + 10.0)


def test_the_example_of_the_specification_is_right() -> None:
    assert verify_webhook(SECRET, HEADERS, BODY) == {"test": 2432232314}


def test_names_of_headers_are_read_in_any_case_and_of_several_signatures_one_is_enough() -> None:
    shown = {name.title(): value for name, value in HEADERS.items()}
    shown["Webhook-Signature"] = f"v1,AAAA v2,BBBB {HEADERS['webhook-signature']}"
    assert verify_webhook([OTHER, SECRET], shown, BODY) == {"test": 2432232314}


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(AT + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": HEADERS["webhook-signature"].replace("v1,", "v2,")},
    ],
)
def test_what_was_changed_on_the_way_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(InvalidWebhook):
        verify_webhook(SECRET, HEADERS | change, BODY)


@pytest.mark.parametrize(("secrets", "body"), [(OTHER, BODY), ([], BODY), (SECRET, BODY + b" ")])
def test_another_secret_and_another_body_are_refused(secrets: str | list[str], body: bytes) -> None:
    with pytest.raises(InvalidWebhook):
        verify_webhook(secrets, HEADERS, body)


@pytest.mark.parametrize("late", [-301, 301])
def test_an_event_of_another_time_is_refused(monkeypatch: pytest.MonkeyPatch, late: int) -> None:
    monkeypatch.setattr(webhooks.time, "time", lambda: float(AT + late))
    with pytest.raises(InvalidWebhook):
        verify_webhook(SECRET, HEADERS, BODY)


def test_only_an_object_is_an_event() -> None:
    at, key = int(time.time()), b"k" * 32
    signature = b64encode(digest(key, b"msg." + str(at).encode() + b".[]", "sha256")).decode()
    shown = {"webhook-id": "msg", "webhook-timestamp": str(at), "webhook-signature": f"v1,{signature}"}
    with pytest.raises(InvalidWebhook, match="JSON object"):
        verify_webhook("whsec_" + b64encode(key).decode(), shown, b"[]")
