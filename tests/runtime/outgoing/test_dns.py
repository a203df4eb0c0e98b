"""Outgoing HTTP resolves names itself and connects to the checked address; certificates must match the name."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from manifest_auth.providers.providers import MOST
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.outgoing_guard import Unreachable
from manifest_auth.runtime.outgoing_transport import KEEP_S
from manifest_auth.runtime.settings import Settings, load
from tests.runtime.outgoing.outgoing_calls import get
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer, Asked, Socket
from tests.support.rules import rule

HOSTED = load({"MANIFEST_PUBLIC_URL": "https://auth.example.com", "MANIFEST_PROVIDER_TIMEOUT": "30"})
PRIVATE = load(
    {
        "MANIFEST_PUBLIC_URL": "https://auth.example.com",
        "MANIFEST_PROVIDER_TIMEOUT": "30",
        "MANIFEST_OUTGOING_PRIVATE": "on",
    }
)
NAME = "login.example.com"


class Names:
    """A name server that returns a test's results one after the other, and repeats the last one."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """A file with a self-signed certificate for a name, and the TLS context of a server that uses it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    alternative: x509.GeneralName
    try:
        alternative = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    shown, secret = folder / f"{name}.crt", folder / f"{name}.key"
    shown.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, secret)
    return shown, context


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Socket, list[Asked], Path]]:
    """A server with a certificate for ``NAME``, the requests it received, and the certificate."""
    shown, context = certificate(tmp_path, NAME)
    asked: list[Asked] = []
    with Socket(context) as socket:

        def answer(request: Asked) -> Answer:
            asked.append(request)
            return Answer(body=b"{}")

        socket.answer = answer
        threading.Thread(target=socket.serve, daemon=True).start()
        yield socket, asked, shown


Secure = tuple[Socket, list[Asked], Path]


@rule("OUTGOING")
async def test_the_address_that_was_checked_is_the_one_that_is_called(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket, asked, shown = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(shown))
    names = Names(["127.0.0.1"], ["203.0.113.9"])  # a second look-up would get a different result
    outgoing = Outgoing(PRIVATE, resolve=names)
    reply = await get(outgoing, f"https://{NAME}:{socket.port}/x")
    await outgoing.close()
    assert reply.status == 200
    assert names.asked == [NAME]
    assert asked[0].headers["host"] == f"{NAME}:{socket.port}"


@matrix("address", ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"])
async def test_a_name_that_leads_into_our_own_network_is_not_called(secure: Secure, address: str) -> None:
    socket, asked, _ = secure
    outgoing = Outgoing(HOSTED, resolve=Names([address]))
    with pytest.raises(Unreachable, match="isn't a public address"):
        await get(outgoing, f"https://{NAME}:{socket.port}/")
    await outgoing.close()
    assert asked == []


async def test_a_name_that_changes_its_mind_is_checked_again_for_each_connection(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket, asked, shown = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(shown))
    outgoing = Outgoing(PRIVATE, resolve=Names(["127.0.0.1"], ["0.0.0.0"]))
    await get(outgoing, f"https://{NAME}:{socket.port}/")
    await get(outgoing, f"https://{NAME}:{socket.port}/")  # the same connection
    assert len(asked) == 2
    await asyncio.sleep(KEEP_S + 0.2)
    with pytest.raises(Unreachable, match="isn't the address of a server"):
        await get(outgoing, f"https://{NAME}:{socket.port}/")
    await outgoing.close()
    assert len(asked) == 2


async def test_of_several_addresses_only_those_that_can_be_called_are_tried(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket, asked, shown = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(shown))
    outgoing = Outgoing(PRIVATE, resolve=Names(["0.0.0.0", "127.0.0.3", "127.0.0.1"]))  # no server listens on .3
    assert (await get(outgoing, f"https://{NAME}:{socket.port}/")).status == 200
    await outgoing.close()
    assert len(asked) == 1


async def test_localhost_is_this_machine_whatever_its_name_server_says() -> None:
    outgoing = Outgoing(Settings(), resolve=Names(["10.0.0.1"]))
    with pytest.raises(Unreachable, match="isn't this machine"):
        await get(outgoing, "http://localhost:1/")
    await outgoing.close()


@rule("OUTGOING")
async def test_a_certificate_that_no_one_vouches_for_is_rejected(secure: Secure) -> None:
    socket, asked, _ = secure
    outgoing = Outgoing(PRIVATE, resolve=Names(["127.0.0.1"]))
    with pytest.raises(Unreachable, match=r"TLS: .*self-signed"):
        await get(outgoing, f"https://{NAME}:{socket.port}/")
    await outgoing.close()
    assert asked == []


@rule("OUTGOING")
async def test_a_certificate_for_another_name_is_rejected(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    socket, asked, shown = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(shown))
    outgoing = Outgoing(PRIVATE, resolve=Names(["127.0.0.1"]))
    with pytest.raises(Unreachable, match=r"TLS: .*[Hh]ostname mismatch"):
        await get(outgoing, f"https://other.example.com:{socket.port}/")
    await outgoing.close()
    assert asked == []


async def test_those_who_ask_for_one_name_share_one_look_up_and_a_dead_name_server_delays_no_one_else() -> None:
    gate, asked = threading.Event(), []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        if host == "dead.example.com":
            gate.wait(30)
        return ["127.0.0.1"]

    outgoing = Outgoing(load({"MANIFEST_PROVIDER_TIMEOUT": "2"}), resolve=resolve)
    held = [asyncio.create_task(get(outgoing, "https://dead.example.com/")) for _ in range(40)]
    while not asked:
        await asyncio.sleep(0)
    outgoing.seconds = 30.0
    with pytest.raises(Unreachable, match="can't connect"):
        await get(outgoing, "https://alive.example.com:1/")
    for outcome in await asyncio.gather(*held, return_exceptions=True):
        assert isinstance(outcome, Unreachable)
        assert str(outcome).endswith(("no response in time", "too many calls are in progress"))
    outgoing.seconds = 0.5
    with pytest.raises(Unreachable, match="no response in time"):
        await get(outgoing, "https://dead.example.com/")
    assert asked == ["dead.example.com", "alive.example.com"]
    gate.set()
    await outgoing.close()


async def test_nor_do_the_dead_name_servers_of_all_providers_once_calls_are_given_up() -> None:
    gate = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        if host.startswith("dead"):
            gate.wait(30)
        return ["127.0.0.1"]

    outgoing = Outgoing(load({"MANIFEST_PROVIDER_TIMEOUT": "0.5"}), resolve=resolve)
    names = [f"https://dead{number}.example.com/" for number in range(MOST)]
    given_up = await asyncio.gather(*(get(outgoing, name) for name in names), return_exceptions=True)
    assert all(isinstance(each, Unreachable) for each in given_up)
    outgoing.seconds = 30.0
    with pytest.raises(Unreachable, match="can't connect"):  # although threads still wait for the name servers
        await get(outgoing, "https://alive.example.com:1/")
    gate.set()
    await outgoing.close()
