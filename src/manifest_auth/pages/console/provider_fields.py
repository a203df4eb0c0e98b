"""The form fields of each kind of provider, as data.

Those of a kind that is not written here follow from its settings. A field has the name of the member that it fills
(``oidc.issuer``), so a refusal that names the member is shown beside the field. The member's own model says which
values are valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from manifest_auth.sign_in.providers.kind import Kind
from manifest_auth.sign_in.providers.kinds import KINDS


class Field(NamedTuple):
    """``input``: text, secret, lines (a text for each), words (texts without spaces), certificates, flag, choice,
    prose. ``options``: of a choice, values and texts. ``is_more``: few need it. ``is_imported``: metadata gives it.
    ``is_asked_only``: it is no member of a body."""

    path: str
    label: str
    input: str = "text"
    hint: str = ""
    options: tuple[tuple[str, str], ...] = ()
    is_more: bool = False
    is_imported: bool = False
    is_asked_only: bool = False

    @property
    def attribute(self) -> str:
        return self.path.replace(".", "_")


_GROUP_CLAIM = "Claim with the groups"
_TRUST = "Its e-mail addresses count as verified"
_CLOUDS = (
    ("", "The installation's own"),
    ("global", "Global"),
    ("us-gov", "US Government"),
    ("us-dod", "US Department of Defense"),
    ("china", "China"),
    ("custom", "Custom"),
)

_WRITTEN: dict[str, tuple[Field, ...]] = {
    "oidc": (
        Field(
            "oidc.issuer",
            "Issuer",
            hint="What stands before /.well-known/openid-configuration, exactly: a slash at the end counts.",
        ),
        Field("oidc.clientId", "Client ID"),
        Field("oidc.clientSecret", "Client secret", "secret"),
        Field("oidc.groupClaim", _GROUP_CLAIM, hint="Usually groups.", is_more=True),
        Field("oidc.scopes", "Scopes", "words", "Separated by spaces; openid must be among them.", is_more=True),
        Field(
            "oidc.clientAuthentication",
            "How the client secret is sent",
            "choice",
            options=(
                ("auto", "As the provider says"),
                ("basic", "In a header (basic)"),
                ("post", "In the form (post)"),
                ("none", "There is none"),
            ),
            is_more=True,
        ),
        Field(
            "oidc.audiences",
            "Further audiences",
            "lines",
            "One a line. ID tokens may name these beside the client ID.",
            is_more=True,
        ),
        Field(
            "oidc.trustEmail",
            _TRUST,
            "flag",
            "For a provider that never says whether it verified them. Only addresses of its own domains.",
            is_more=True,
        ),
    ),
    "saml": (
        Field(
            "saml.metadataUrl",
            "Address of its metadata",
            hint="Fetched once, now. Or paste the document below.",
            is_asked_only=True,
        ),
        Field("saml.metadata", "Metadata document", "prose", "The XML as the provider shows or downloads it."),
        Field("saml.entityId", "Entity ID (issuer)", is_more=True, is_imported=True),
        Field("saml.redirectUrl", "Sign-on address, redirect", is_more=True, is_imported=True),
        Field("saml.postUrl", "Sign-on address, POST", is_more=True, is_imported=True),
        Field(
            "saml.binding",
            "How requests are sent",
            "choice",
            options=(("redirect", "Redirect"), ("post", "POST")),
            is_more=True,
            is_imported=True,
        ),
        Field(
            "saml.certificates",
            "Signing certificates",
            "certificates",
            "Any of them may have signed. To change one without a gap, add the new one before the old one ends.",
            is_more=True,
            is_imported=True,
        ),
        Field("saml.signRequests", "Sign our requests", "flag", is_more=True, is_imported=True),
        Field(
            "saml.allowIdpInitiated",
            "Accept sign-ins that begin at the provider",
            "flag",
            "A tile on its page sends such.",
            is_more=True,
        ),
        Field(
            "saml.expiredCertificates",
            "A pinned certificate past its end",
            "choice",
            options=(("refuse", "Counts no more"), ("accept", "Still counts")),
            is_more=True,
        ),
        Field(
            "saml.attributes.subject",
            "Attribute that identifies the user",
            hint="Empty: the NameID. Set it before the first sign-in, or all users are new.",
            is_more=True,
        ),
        Field(
            "saml.attributes.email",
            "Attribute with the e-mail address",
            hint="Empty: the usual names are tried.",
            is_more=True,
        ),
        Field("saml.attributes.firstName", "Attribute with the first name", is_more=True),
        Field("saml.attributes.lastName", "Attribute with the last name", is_more=True),
        Field("saml.attributes.groups", "Attribute with the groups", is_more=True),
    ),
    "dynamics": (
        Field("dynamics.directory", "Directory (tenant) ID"),
        Field("dynamics.clientId", "Application (client) ID"),
        Field("dynamics.clientSecret", "Client secret", "secret", "Its Value, not its ID."),
        Field("dynamics.organization", "Address of the environment", hint="Like https://contoso.crm.dynamics.com."),
        Field("dynamics.cloud", "Microsoft cloud", "choice", options=_CLOUDS, is_more=True),
        Field("dynamics.groupClaim", _GROUP_CLAIM, is_more=True),
        Field("dynamics.audiences", "Further audiences", "lines", "One a line.", is_more=True),
        Field("dynamics.trustEmail", _TRUST, "flag", "Only those of its own domains.", is_more=True),
        Field("dynamics.keepTokens", "Keep Microsoft's tokens, encrypted", "flag", is_more=True),
    ),
    "entra": (
        Field("entra.directory", "Directory (tenant) ID"),
        Field("entra.applications", "Client IDs of the apps that may call", "lines", "One a line."),
        Field("entra.graphTokens", "Tokens for Microsoft Graph count", "flag", "Once Graph accepted them."),
        Field(
            "entra.clientId",
            "Our own application's client ID",
            hint="Tokens for it are verified by the directory's keys.",
        ),
        Field(
            "entra.clientSecret",
            "Client secret of our application",
            "secret",
            "Needed where Graph is asked on behalf of the caller.",
            is_more=True,
        ),
        Field("entra.appIdUri", "App ID URI", is_more=True),
        Field("entra.scopes", "Scopes, one of which a token must hold", "words", is_more=True),
        Field("entra.cloud", "Microsoft cloud", "choice", options=_CLOUDS, is_more=True),
        Field("entra.askGraph", "Ask Graph for the profile of each caller", "flag", is_more=True),
        Field("entra.guests", "Let guests of the directory in", "flag", is_more=True),
        Field("entra.groupClaim", _GROUP_CLAIM, is_more=True),
        Field("entra.trustEmail", _TRUST, "flag", "Only those of its own domains.", is_more=True),
    ),
}


def following(kind: Kind[Any, Any]) -> Iterator[Field]:
    """The fields of a kind's settings: texts, lists of texts, choices and flags. Others are set by the API alone."""
    for member in msgspec.inspect.type_info(kind.settings).fields:  # type: ignore[attr-defined]  # of a struct
        of, hint = member.type, ""
        if isinstance(of, msgspec.inspect.Metadata):
            hint = (of.extra_json_schema or {}).get("description", "")
            of = of.type
        options: tuple[tuple[str, str], ...] = ()
        match of:
            case msgspec.inspect.StrType():
                holds = "text"
            case msgspec.inspect.BoolType():
                holds = "flag"
            case msgspec.inspect.VarTupleType(item_type=msgspec.inspect.StrType()):
                holds = "lines"
            case msgspec.inspect.LiteralType(values=values):
                holds, options = "choice", tuple((str(value), str(value)) for value in values)
            case _:
                continue
        label = re.sub("([A-Z])", r" \1", member.encode_name).capitalize()
        label = re.sub(r"\b(id|url)\b", lambda found: found[0].upper(), label)
        path = f"{kind.name}.{member.encode_name}"
        yield Field(path, label, holds, hint, options, is_more=not member.required)
    if "client_secret" in kind.members:
        yield Field(f"{kind.name}.clientSecret", "Client secret", "secret")


FIELDS = {name: _WRITTEN.get(name) or tuple(following(kind)) for name, kind in KINDS.items()}
