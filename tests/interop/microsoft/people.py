"""Test data: Microsoft directories with their people, and the apps that request tokens."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"  # the directory of personal accounts
GRAPH = "00000003-0000-0000-c000-000000000000"

#: Our own application: people sign in to it, and tokens can be issued for it.
OURS = "0a0a0a0a-1111-4111-8111-0000000000aa"
OUR_URI = "api://manifest.contoso.example"
OUR_SECRET = "w8Q~our/secret+of öurs"
#: The customer's Power App, and another vendor's app that many people use.
POWER_APP = "0b0b0b0b-2222-4222-8222-0000000000bb"
OTHER_APP = "0c0c0c0c-3333-4333-8333-0000000000cc"

ORGANIZATION = "https://contoso.crm.dynamics.com"
ORGANIZATION_ID = "883278f5-07af-45eb-a0bc-3fea67caa544"
BUSINESS_UNIT_ID = "38e0dbe4-131b-4111-ba7e-78e7d1620f5e"


class Person(NamedTuple):
    """A person as known to one directory. ``home`` is a guest's ``idp``; ``systemuser`` is the ID in Dataverse."""

    oid: str
    upn: str
    first: str
    last: str
    mail: str | None
    systemuser: str | None = None
    home: str | None = None

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


@dataclass
class Directory:
    """A directory (tenant)."""

    id: str
    domain: str
    people: dict[str, Person] = field(default_factory=dict)

    def subject(self, user: str, app: str) -> str:
        """``sub``, which is pairwise and differs for each app."""
        digest = hashlib.sha256(f"{self.id}/{app}/{user}".encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def contoso() -> Directory:
    """The customer's directory."""
    found = Directory("c0c0c0c0-1111-4111-8111-111111111111", "contoso.example")
    found.people = {
        "alice": Person(
            "aaaaaaaa-0000-4000-8000-000000000001", "alice@contoso.example", "Alice", "Liddell",
            "alice@contoso.example", "5a5a5a5a-0000-4000-8000-000000000001",
        ),
        # Without a mailbox, Graph's `mail` is null.
        "bob": Person(
            "aaaaaaaa-0000-4000-8000-000000000002", "bob@contoso.example", "Bob", "Builder",
            None, "5a5a5a5a-0000-4000-8000-000000000002",
        ),
        # In the directory, but not a user of the Dataverse environment.
        "carol": Person(
            "aaaaaaaa-0000-4000-8000-000000000003", "carol@contoso.example", "Carol", "Danvers",
            "carol@contoso.example",
        ),
        "gina": Person(
            "aaaaaaaa-0000-4000-8000-000000000004", "gina_partner.example#EXT#@contoso.example", "Gina", "Guest",
            "gina@partner.example", "5a5a5a5a-0000-4000-8000-000000000004",
            "https://sts.windows.net/f0f0f0f0-9999-4999-8999-999999999999/",
        ),
        "pat": Person(
            "aaaaaaaa-0000-4000-8000-000000000005", "pat_outlook.example#EXT#@contoso.example", "Pat", "Personal",
            "pat@outlook.example", None, "live.com",
        ),
    }  # fmt: skip
    return found


def fabrikam() -> Directory:
    """A foreign directory. Mallory owns it, and put Alice's address into her own ``mail`` attribute (nOAuth)."""
    found = Directory("fafafafa-2222-4222-8222-222222222222", "fabrikam.example")
    found.people = {
        "mallory": Person(
            "bbbbbbbb-0000-4000-8000-000000000001", "mallory@fabrikam.example", "Mallory", "Evil",
            "alice@contoso.example", "5a5a5a5a-0000-4000-8000-00000000000b",
        ),
        "alice": Person(
            "bbbbbbbb-0000-4000-8000-000000000002", "alice@fabrikam.example", "Alice", "Other",
            "alice@fabrikam.example",
        ),
    }  # fmt: skip
    return found


def consumers() -> Directory:
    """Personal accounts, which share a single directory."""
    found = Directory(CONSUMERS, "outlook.example")
    found.people = {
        "pat": Person(
            "00000000-0000-0000-1234-000000000001", "pat@outlook.example", "Pat", "Personal", "pat@outlook.example"
        ),
    }
    return found
