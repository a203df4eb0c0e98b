"""Every setting with its default, bounds and description; ``docs/settings.md`` is generated from this file."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from manifest_auth.text.canonical import is_loopback_host

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The address of a caller with an unreadable address. It is in no network.
UNKNOWN = "unknown"
_LONGEST = 64
#: Parts that proxies add to the address: brackets and a port (RFC 7239, section 6), a port, a zone.
_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::[0-9]{1,5})?\Z")
_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}\Z")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2)


@lru_cache(maxsize=4096)
def plain_address(text: str) -> str | None:
    """Returns the address in its normal form: IPv4 for an IPv4-mapped one, without port, brackets, quotes and zone.
    None for an invalid address."""
    address = _parsed(text)
    return None if address is None else str(address)


def is_listed(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether the address is in one of the networks. False for an invalid address."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def networks_of(text: str) -> tuple[Network, ...]:
    """Returns the networks of a comma-separated list; none for empty text. Raises ValueError with a line for the
    operator, also for IPv4-mapped networks, which no address can be in, since mapped addresses are compared as IPv4."""
    found = tuple(_network(part.strip()) for part in text.split(",") if part.strip())
    if text and not found:
        raise ValueError("contains no network; to set none, remove it")
    return found


def _network(text: str) -> Network:
    network = ipaddress.ip_network(text, strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.overlaps(_MAPPED):
        inner = network.network_address.ipv4_mapped
        if network.prefixlen >= _MAPPED.prefixlen and inner is not None:
            return ipaddress.IPv4Network((inner, network.prefixlen - _MAPPED.prefixlen))
        if network.prefixlen:  # ::/0 means every IPv6 address
            raise ValueError(f"{text} contains IPv4-mapped addresses; use the IPv4 network itself")
    return network


@lru_cache(maxsize=4096)
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if len(text) > _LONGEST:
        return None
    text = text.strip(' \t"')
    if decorated := _BRACKETS.match(text) or _PORT.match(text):
        text = decorated[1]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


# The setting ``outgoing_private`` decides which providers at private addresses can be called: all, none, or a list.


_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.(?!-)[a-z0-9_-]{1,63})*\Z")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)\Z")  # some programs parse a last label like this as an address
_WORDS = frozenset({"auto", "on", "off", "yes", "no", "true", "false"})


class PrivateTargets(NamedTuple):
    """Private addresses that can be called. ``everywhere``: all; ``hosts``: names in a provider's URLs, whatever they
    resolve to; ``networks``: of addresses."""

    everywhere: bool
    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def allow(self, host: str, address: Address) -> bool:
        """Whether ``address``, a private address that ``host`` resolves to, can be called."""
        if self.everywhere or host.removesuffix(".") in self.hosts:
            return True
        return any(address in network for network in self.networks)


def parse_targets(text: str) -> PrivateTargets:
    """Returns the hosts and networks of a comma-separated list. Raises ValueError with a line for the operator."""
    hosts: set[str] = set()
    networks: list[Network] = []
    for part in filter(None, (part.strip().lower() for part in text.split(","))):
        try:
            networks += networks_of(part)
        except ValueError:
            if part in _WORDS or not _NAME.match(part) or _NUMBER.match(part.rpartition(".")[2]):
                raise ValueError(f"{part} isn't auto, on, off, or a list of hosts and networks") from None
            hosts.add(part)
    if not hosts and not networks:
        raise ValueError("must be auto, on, off, or a list of hosts and networks")
    return PrivateTargets(False, frozenset(hosts), tuple(networks))


PREFIX = "MANIFEST_"
MINUTE, HOUR, DAY = 60, 3600, 86400
MAX_FILE = 1024 * 1024 * 1024  # bytes


class SettingsError(Exception):
    """A setting is invalid. The message is one line for the operator."""


class Secret:
    """Text that must not be printed; ``reveal()`` returns its value. ``path``: the file that contains it."""

    __slots__ = ("_value", "path")

    def __init__(self, value: str, path: str | None = None) -> None:
        self._value = value
        self.path = path

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)


def _about(sentence: str, **bounds: Any) -> Meta:
    return Meta(description=sentence, **bounds)


Seconds = int


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one process. :func:`.loading.load` creates it."""

    public_url: Annotated[
        str, _about("URL at which browsers and programs reach this server. Its subdomains identify clients.")
    ] = "http://127.0.0.1:8080"
    host: Annotated[str, _about("Address to listen on.")] = "127.0.0.1"
    insecure_public_url: Annotated[
        Literal["refused", "loopback", "allowed"],
        _about(
            "`allowed`: the server starts even if other machines can reach the address to listen on and the "
            "public address is plain http or loopback. Cookies of plain http aren't `Secure`. `loopback`: the same "
            "for a loopback public address only, which is then `http://localhost:8080` by default. The container "
            "image sets it."
        ),
    ] = "refused"
    port: Annotated[int, _about("Port to listen on.", ge=0, le=65535)] = 8080
    workers: Annotated[int, _about("Number of web processes.", ge=1, le=64)] = 1
    data_dir: Annotated[str, _about("Folder of the SQLite database and the secret key.")] = "./data"
    database_url: Annotated[
        str, _about("`sqlite:///FILE` or `postgresql://…`. Default: `manifest-auth.db` in the data folder.")
    ] = ""
    database_direct_url: Annotated[
        str,
        _about(
            "URL of the same PostgreSQL database without a pooler, for upgrades and for messages between nodes. "
            "Default: `MANIFEST_DATABASE_URL`."
        ),
    ] = ""
    database_wake: Annotated[
        Literal["auto", "off"],
        _about(
            "`auto`: nodes on PostgreSQL wake each other with `NOTIFY` after a change, unless they use a pooler. "
            "`off`: they only poll, four times a second."
        ),
    ] = "auto"
    database_upgrade: Annotated[
        Literal["start", "never"],
        _about(
            "`start`: a process that finds an older schema upgrades it. `never`: it exits with status 3, and you "
            "run `manifest-auth db upgrade` first."
        ),
    ] = "start"
    database_pool: Annotated[int, _about("PostgreSQL connections of each process.", ge=2, le=200)] = 8
    secret_key: Annotated[
        Secret | None,
        _about(
            "Encrypts secrets at rest: 32 random bytes as 64 hexadecimal digits or base64. Older keys can "
            "follow, separated by commas: the first key encrypts, and all keys decrypt. SQLite: created in the "
            "data folder if missing. PostgreSQL: required."
        ),
    ] = None
    deployment: Annotated[
        Literal["hosted", "on-premise"], _about("`on-premise` requires a license; `hosted` doesn't.")
    ] = "hosted"
    license_public_key: Annotated[
        str, _about("Ed25519 public key that verifies on-premise licenses, 32 bytes in base64.")
    ] = ""
    access_token_ttl: Annotated[Seconds, _about("Lifetime of an access token, seconds.", ge=1, le=30 * DAY)] = 24 * HOUR
    service_token_ttl: Annotated[
        Seconds, _about("Lifetime of a service account's access token, seconds.", ge=MINUTE, le=HOUR)
    ] = 15 * MINUTE
    refresh_token_ttl: Annotated[Seconds, _about("Lifetime of a refresh token, seconds.", ge=2, le=400 * DAY)] = (
        30 * DAY
    )
    session_idle_ttl: Annotated[
        Seconds,
        _about(
            "Session timeout without use, seconds: an unused session cookie expires after this time.",
            ge=2,
            le=400 * DAY,
        ),
    ] = 7 * DAY
    session_max_ttl: Annotated[
        Seconds,
        _about("Maximum session timeout, seconds: a session ends after this time, even in use.", ge=2, le=400 * DAY),
    ] = 30 * DAY
    refresh_grace: Annotated[
        Seconds, _about("A replaced refresh token is still accepted for this time, seconds.", ge=0, le=300)
    ] = 10
    admin_session_ttl: Annotated[Seconds, _about("A system admin's session ends after this time, seconds.", ge=60)] = (
        12 * HOUR
    )
    admin_access_token_ttl: Annotated[
        Seconds, _about("Lifetime of a system admin's access token, seconds.", ge=1, le=DAY)
    ] = 15 * MINUTE
    admin_addresses: Annotated[
        str,
        _about(
            "Addresses or networks, comma-separated, from which `/api/admin` can be reached. All others get "
            "`NOT_FOUND`. Default: everywhere. The setting of system admins can only narrow it."
        ),
    ] = ""
    client_deletion_days: Annotated[
        int,
        _about(
            "Days for which a deleted client can be restored. After that, it is permanently removed.", ge=0, le=3650
        ),
    ] = 30
    client_deletion_audit: Annotated[
        Literal["delete", "keep"], _about("Whether the audit trail of a client is deleted with the client, or kept.")
    ] = "delete"
    token_algorithm: Annotated[
        Literal["", "HS256", "ES256"],
        _about(
            "Signs users' access tokens in a new database. With ES256, their public keys are also at "
            "`/.well-known/jwks.json`. Default: ES256. Later, only `keys rotate --algorithm` changes it."
        ),
    ] = ""
    token_issuer: Annotated[str, _about("`iss` of access tokens. Default: the public address.")] = ""
    argon2_memory: Annotated[int, _about("Argon2id memory, KiB.", ge=8, le=4 * 1024 * 1024)] = 19456
    argon2_passes: Annotated[int, _about("Argon2id passes.", ge=1, le=100)] = 2
    argon2_lanes: Annotated[int, _about("Argon2id lanes.", ge=1, le=16)] = 1
    hash_workers: Annotated[
        int,
        _about(
            "Password hashes that each web process computes at the same time. 0: the cores, or the limit of the "
            "container or unit, divided among the processes.",
            ge=0,
            le=64,
        ),
    ] = 0
    hash_queue: Annotated[int, _about("Hashes that can wait. Further sign-ins get `OVERLOADED`.", ge=1, le=10000)] = 64
    trusted_proxies: Annotated[
        str, _about("Addresses or networks, comma-separated, whose `X-Forwarded-For` is trusted.")
    ] = ""
    rate_limits: Annotated[
        Literal["on", "off"], _about("Use `off` only for benchmarks, and only on a loopback address.")
    ] = "on"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _about("Lowest level that is logged.")] = "info"
    log_requests: Annotated[
        Literal["all", "changes", "none"],
        _about(
            "Which requests are logged: all, all except successful reads, or none. Rejected requests are always logged."
        ),
    ] = "changes"
    audit_days: Annotated[
        int, _about("Days for which audit events are kept. The chain stays verifiable. 0: forever.", ge=0, le=36500)
    ] = 0
    trace_outgoing: Annotated[
        str,
        _about(
            "Hosts, comma-separated, to which calls to identity providers pass the trace of the request "
            "(`traceparent`). Default: none, because providers are usually other companies."
        ),
    ] = ""
    tracing: Annotated[
        Literal["off", "on"],
        _about(
            "`on`: spans of one percent of the requests are sent to a collector, as the standard variables `OTEL_…` "
            "say. Requires the extra `otel`."
        ),
    ] = "off"
    metrics_token: Annotated[Secret | None, _about("Bearer token that opens `/metrics`.")] = None
    metrics_listen: Annotated[str, _about("`HOST:PORT` of a separate listener for `/metrics`.")] = ""
    introspection: Annotated[
        Literal["auto", "on", "off"],
        _about("GraphQL introspection. `auto` turns it on if only this machine can reach the server."),
    ] = "auto"
    microsoft_cloud: Annotated[
        Literal["global", "us-gov", "us-dod", "china", "custom"],
        _about("Microsoft cloud of providers that don't name one: hosts of login, Graph, and Dataverse."),
    ] = "global"
    microsoft_custom_cloud: Annotated[
        str,
        _about(
            "URLs of the cloud `custom`: `login=URL graph=URL dataverse=URL`. Add `issuer=URL sts=URL` if the "
            "issuers in tokens aren't below the login URL."
        ),
    ] = ""
    microsoft_app_id: Annotated[
        str,
        _about(
            "Client ID of one multi-tenant application of the operator, which administrators of Microsoft "
            "directories sign in to when a client verifies its directory. Default: each client's own application.",
            pattern=r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$",
        ),
    ] = ""
    microsoft_app_secret: Annotated[Secret | None, _about("Client secret of that application.")] = None
    demo_password: Annotated[Secret | None, _about("One password for all demo accounts of `manifest-auth demo`.")] = (
        None
    )
    outgoing_private: Annotated[
        str,
        _about(
            "Whether the server can call identity providers at private, link-local, or loopback addresses: `on`, "
            "`off`, or a list of hosts and networks such as `idp.corp.example, 10.1.0.0/16`. `auto`: on premise, "
            "and while only this machine can reach the server."
        ),
    ] = "auto"
    provider_timeout: Annotated[
        float, _about("Total time for all calls to identity providers of one sign-in, seconds.", ge=0.5, le=30)
    ] = 2.5
    smtp_url: Annotated[
        Secret | None,
        _about(
            "Mail server: `smtp://USER:PASSWORD@HOST:587` (STARTTLS) or `smtps://…`. Without it, the caller who "
            "requests a one-time link gets it in the response."
        ),
    ] = None
    mail_from: Annotated[str, _about("Sender of emails: an address, or `NAME <ADDRESS>`.")] = ""
    operator_email: Annotated[
        str, _about("Email address of the operator, for emails that only the operator can act on.")
    ] = ""
    domain_proof: Annotated[
        Literal["dns", "vouch"],
        _about(
            "How a client verifies an email domain. `dns`: with a DNS record, or by approval of the operator. "
            "`vouch`: only by approval, and the server never sends a DNS query."
        ),
    ] = "dns"
    dns_servers: Annotated[
        str,
        _about(
            "Name servers for domain records, comma-separated, `ADDRESS` or `ADDRESS:PORT`, queried over TCP. "
            "All of them must agree, and they should validate DNSSEC. Default: the operating system's."
        ),
    ] = ""
    passkey_rp_id: Annotated[
        str,
        _about(
            "Domain that passkeys belong to: the host of the public address, or a parent domain of it. The first "
            "passkey fixes it. Default: that host."
        ),
    ] = ""
    passkey_origins: Annotated[
        str,
        _about(
            "Other origins where passkeys work, comma-separated: `https://…` below the passkeys' domain, or "
            "`android:apk-key-hash:…`."
        ),
    ] = ""
    files: Annotated[
        str,
        _about(
            "Where uploaded files are stored: a folder that all nodes see, or `s3://BUCKET/PREFIX` of an "
            "S3-compatible service. Default: `files` in the data folder."
        ),
    ] = ""
    files_endpoint: Annotated[str, _about("URL of an S3-compatible service. Default: Amazon's.")] = ""
    files_region: Annotated[str, _about("Region of the bucket.")] = ""
    files_access_key: Annotated[str, _about("Access key of the bucket. Default: from boto3's own sources.")] = ""
    files_secret_key: Annotated[Secret | None, _about("Secret of the access key.")] = None
    file_limit: Annotated[int, _about("Maximum size of an uploaded file, bytes.", ge=1024, le=MAX_FILE)] = (
        20 * 1024 * 1024
    )
    upload_quota: Annotated[
        int, _about("Maximum size of all uploaded files of one client, bytes.", ge=1024, le=2**60)
    ] = 10 * 1024 * 1024 * 1024
    shutdown_drain: Annotated[
        Seconds,
        _about(
            "On SIGTERM, `/readyz` returns 503 for this time, seconds, and everything else still works, so that "
            "a load balancer sends no more requests. Then `MANIFEST_SHUTDOWN_GRACE` begins.",
            ge=0,
            le=600,
        ),
    ] = 0
    shutdown_grace: Annotated[
        Seconds,
        _about(
            "On SIGTERM, requests in progress get this time to finish, seconds. The remaining ones fail with 503.",
            ge=1,
            le=600,
        ),
    ] = 20

    @property
    def issuer(self) -> str:
        return self.token_issuer or self.public_url.rstrip("/")

    @property
    def oauth_issuer(self) -> str:
        """The issuer and audience of service accounts' tokens (RFC 8414, section 2): the public address."""
        return self.public_url.rstrip("/")

    @property
    def is_loopback(self) -> bool:
        """Whether the public address is only this machine."""
        return is_loopback_host(urlsplit(self.public_url).hostname or "")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.is_loopback and is_loopback_host(self.host)

    @property
    def is_local_container(self) -> bool:
        """Whether others could reach the server, although the operator says that only this machine does."""
        return self.is_loopback and not self.is_local and self.insecure_public_url == "loopback"

    @property
    def secure_cookies(self) -> bool:
        return self.public_url[:7].lower() != "http://"

    @property
    def database(self) -> str:
        """The address of the database: ``postgresql://…`` or ``sqlite:///FILE``."""
        return self.database_url or f"sqlite:///{Path(self.data_dir) / 'manifest-auth.db'}"

    @property
    def database_direct(self) -> str:
        """The address of the database without a pooler."""
        return self.database_direct_url or self.database

    @property
    def on_postgres(self) -> bool:
        return self.database.startswith("postgresql")

    @property
    def introspects(self) -> bool:
        return self.introspection == "on" or (self.introspection == "auto" and self.is_local)

    @property
    def private_targets(self) -> PrivateTargets:
        """The providers at private addresses that can be called. In a hosted installation clients configure the
        providers, and must not reach the private network of this server. Raises ValueError."""
        if self.outgoing_private == "auto":
            return PrivateTargets(self.deployment == "on-premise" or self.is_local)
        if self.outgoing_private in ("on", "off"):
            return PrivateTargets(self.outgoing_private == "on")
        return parse_targets(self.outgoing_private)

    @property
    def traced_hosts(self) -> frozenset[str]:
        """The hosts to which calls pass the trace. Raises ValueError."""
        hosts = frozenset(filter(None, (part.strip().lower() for part in self.trace_outgoing.split(","))))
        for host in hosts:
            if not _NAME.match(host) and _parsed(host) is None:
                raise ValueError(f"{host} isn't a host")
        return hosts


def variable(field: str) -> str:
    """Returns the name of the environment variable of a setting."""
    return PREFIX + field.upper()


#: Addresses that can contain a password.
ADDRESSES = ("database_url", "database_direct_url")
#: Settings with a value that can be the content of a file: those addresses, and secrets, which are the only ones with
#: the default None.
FILE_FIELDS = frozenset(ADDRESSES) | {
    field
    for field, default in zip(Settings.__struct_fields__, Settings.__struct_defaults__, strict=True)
    if default is None
}
