"""Stand-in for Graph ``/me`` and Dataverse ``WhoAmI``, which verify their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.interop.microsoft import error_bodies, tokens
from tests.interop.microsoft.people import BUSINESS_UNIT_ID, GRAPH, ORGANIZATION, ORGANIZATION_ID, Directory, Person
from tests.support.oidc_socket import Answer, Asked

if TYPE_CHECKING:
    from tests.interop.microsoft.stand_in import Standin

GRAPH_ADDRESSES = (GRAPH, "https://graph.microsoft.com", "https://graph.microsoft.com/")
_INVALID = "InvalidAuthenticationToken"


def graph(owner: Standin, asked: Asked) -> Answer:
    """``GET /v1.0/me``."""
    now = owner.clock.now_ms()
    scheme, _, token = asked.headers.get("authorization", "").partition(" ")
    if not token or scheme != "Bearer":
        return error_bodies.graph(_INVALID, "Access token is empty.", now)
    found = _read(token)
    if found is None:
        return error_bodies.graph(_INVALID, "CompactToken parsing failed with error code: 80049217", now)
    directory = owner.find(str(found.get("tid")))
    if directory is None or not owner.is_genuine(token):
        return error_bodies.graph(_INVALID, "Access token validation failure. Invalid signature.", now)
    if found.get("aud") not in GRAPH_ADDRESSES:
        return error_bodies.graph(_INVALID, "Access token validation failure. Invalid audience.", now)
    if not found["nbf"] - 300 <= now / 1000 < found["exp"]:
        return error_bodies.graph(_INVALID, "Access token has expired or is not yet valid.", now)
    if not found.get("scp"):
        text = "The token contains no permissions, or permissions can not be understood."
        return error_bodies.graph("NoPermissionsInAccessToken", text, now, 403)
    if "User.Read" not in found["scp"].split():
        text = "Insufficient privileges to complete the operation."
        return error_bodies.graph("Authorization_RequestDenied", text, now, 403)
    person = _person(directory, found)
    if person is None:
        text = f"Resource '{found.get('oid')}' does not exist or one of its queried reference-property objects are not"
        return error_bodies.graph("Request_ResourceNotFound", f"{text} present.", now, 404)
    return Answer.json(_selected(_profile(person) | owner.profile, asked.query.get("$select", "")))


def _profile(person: Person) -> dict[str, Any]:
    return {
        "businessPhones": [],
        "displayName": person.name,
        "givenName": person.first,
        "jobTitle": None,
        "mail": person.mail,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "surname": person.last,
        "userPrincipalName": person.upn,
        "id": person.oid,
    }


def _selected(profile: dict[str, Any], wanted: str) -> dict[str, Any]:
    """``$select`` limits the members, and is the only way to get unusual ones."""
    if not wanted:
        usual = {name: profile[name] for name in profile if name not in ("accountEnabled", "userType")}
        return {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users/$entity", **usual}
    names = wanted.split(",")
    guest = "#EXT#" in str(profile.get("userPrincipalName"))
    every = {"accountEnabled": True, "userType": "Guest" if guest else "Member", **profile}
    context = f"https://graph.microsoft.com/v1.0/$metadata#users({wanted})/$entity"
    return {"@odata.context": context, **{name: every[name] for name in names if name in every}}


def dataverse(owner: Standin, asked: Asked) -> Answer:
    """``GET /api/data/v9.2/WhoAmI``, which can also be called as a function."""
    token = asked.headers.get("authorization", "").removeprefix("Bearer ")
    found = _read(token)
    directory = owner.find(str(found.get("tid"))) if found else None
    home = owner.directories[0]
    if (
        found is None
        or directory is None
        or not owner.is_genuine(token)
        or str(found.get("aud")).rstrip("/") != ORGANIZATION
        or not owner.clock.now_ms() / 1000 < found["exp"]
    ):
        return error_bodies.unauthorized_at_dataverse(home.id, ORGANIZATION)
    person = _person(directory, found)
    if person is None or person.systemuser is None:
        return error_bodies.dataverse("0x80072560", "The user is not a member of the organization.")
    body = {
        "@odata.context": f"{ORGANIZATION}/api/data/v9.2/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse",
        "BusinessUnitId": BUSINESS_UNIT_ID,
        "UserId": person.systemuser,
        "OrganizationId": ORGANIZATION_ID,
    }
    return Answer.json(body | owner.who_am_i)


def _read(token: str) -> dict[str, Any] | None:
    try:
        return tokens.parts(token)[1]
    except ValueError:
        return None


def _person(directory: Directory, claims: dict[str, Any]) -> Person | None:
    return next((one for one in directory.people.values() if one.oid == claims.get("oid")), None)
