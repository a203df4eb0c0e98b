"""The providers that the wizard knows, with the fields of their forms, as data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from manifest_auth.sign_in.providers.kind import Kind
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.text.languages import marked as _

# Fields of a kind that is not written here follow from its settings. A field has the name of the member that it fills
# (``oidc.issuer``), so a refusal that names the member is shown beside the field. The member's own model says which
# values are valid.


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

_FIELD_WRITTEN: dict[str, tuple[Field, ...]] = {
    "oidc": (
        Field(
            "oidc.issuer",
            "Issuer",
            hint="What stands before /.well-known/openid-configuration, exactly: a slash at the end counts.",
        ),
        Field("oidc.clientId", "Client ID"),
        Field("oidc.clientSecret", "Client secret", "secret"),
        Field(
            "oidc.unchecked",
            "Save without checking the issuer",
            "flag",
            "For a provider that this server can't reach yet.",
            is_more=True,
            is_asked_only=True,
        ),
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
        Field("dynamics.directory", _("Directory (tenant) ID")),
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
        Field("entra.directory", _("Directory (tenant) ID")),
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
        yield Field(f"{kind.name}.{member.encode_name}", label, holds, hint, options, is_more=not member.required)
    if "client_secret" in kind.members:
        yield Field(f"{kind.name}.clientSecret", "Client secret", "secret")


FIELDS = {name: _FIELD_WRITTEN.get(name) or tuple(following(kind)) for name, kind in KINDS.items()}


# Whatever differs between providers is here, and nowhere a branch. A kind without a preset gets one that follows.


_NOTHING: Mapping[str, Any] = MappingProxyType({})

CALLBACK, ENTITY, ACS, METADATA = "callback_url", "entity_id", "acs_url", "metadata_url"


class Preset(NamedTuple):
    """``key``: in addresses; ``name``: suggested for the provider; ``ours``: what of ours is typed in there, and
    under which words; ``there``: what to do there, in order; ``hints``: about our fields, by their paths;
    ``values``: what they begin with; ``rules``: those that it is made with; ``groups``: how groups arrive;
    ``fits``: a pattern of what a provider that is set up calls itself; ``is_generic``: for all that have no line."""

    key: str
    title: str
    protocol: str
    kind: str
    name: str
    about: str
    ours: tuple[tuple[str, str], ...]
    there: tuple[str, ...]
    hints: Mapping[str, str] = _NOTHING
    values: Mapping[str, Any] = _NOTHING
    rules: Mapping[str, Any] = _NOTHING
    groups: str = "Write each group exactly as the provider sends it, capital letters and all."
    fits: str = ""
    is_generic: bool = False

    @property
    def product(self) -> str:
        """As sentences call it."""
        return "the provider" if self.is_generic else self.title

    @property
    def label(self) -> str:
        """Product and protocol, for who looks at one that is set up."""
        return self.protocol if self.is_generic else f"{self.title}, {self.protocol}"


_OIDC, _SAML, _TOKENS = "OpenID Connect", "SAML 2.0", "Access tokens"
_CALLBACK = (CALLBACK, "Redirect or callback address")
_SERVICE_PROVIDER = (
    (METADATA, "Metadata address"),
    (ENTITY, "Entity ID, audience"),
    (ACS, "Assertion consumer service, POST"),
)
_PRESET_WRITTEN = (
    Preset(
        key="okta-oidc",
        title="Okta",
        protocol=_OIDC,
        kind="oidc",
        name="okta",
        about="The shorter way, where you may choose.",
        ours=((CALLBACK, "Sign-in redirect URIs"),),
        there=(
            "In the Okta Admin Console open Applications, then Create App Integration.",
            "Choose OIDC and Web Application. Grant type: Authorization Code alone.",
            "Enter our address as Sign-in redirect URI; leave Sign-out redirect URIs empty.",
            "Assign the people or groups who may get in.",
            "On the tab Sign On add a Groups claim filter: groups, Matches regex, .*",
        ),
        hints={
            "oidc.issuer": "https://YOUR-ORGANISATION.okta.com, without -admin. With a custom authorization server its "
            "Issuer URI, like https://YOUR-ORGANISATION.okta.com/oauth2/default.",
            "oidc.clientId": "On the application's tab General.",
            "oidc.clientSecret": "On the same tab, under Client secrets.",
        },
        values={"oidc": {"scopes": ["openid", "profile", "email", "groups"]}},
        fits=r"\.okta(?:preview|-emea)?\.com(?:/|\Z)",
    ),
    Preset(
        key="okta-saml",
        title="Okta",
        protocol=_SAML,
        kind="saml",
        name="okta-saml",
        about="With a tile on the Okta dashboard.",
        ours=((ACS, "Single sign-on URL"), (ENTITY, "Audience URI (SP Entity ID)")),
        there=(
            "In the Okta Admin Console open Applications, then Create App Integration, and choose SAML 2.0.",
            "Enter our two values. Name ID format: Persistent, or Unspecified; never Transient.",
            "Add attribute statements: email = user.email, firstName = user.firstName, lastName = user.lastName.",
            "Add a group attribute statement: groups, Matches regex, .*",
            "Assign the people or groups who may get in.",
            "On the tab Sign On open SAML Signing Certificates, then Actions, then View IdP metadata.",
        ),
        hints={"saml.metadataUrl": "The address of the page that View IdP metadata opens."},
        fits=r"\Ahttps?://www\.okta\.com/",
    ),
    Preset(
        key="entra",
        title="Microsoft Entra ID",
        protocol=_OIDC,
        kind="oidc",
        name="entra",
        about="Work accounts of one Microsoft directory.",
        ours=((CALLBACK, "Redirect URI, platform Web"),),
        there=(
            "In the Microsoft Entra admin center open App registrations, then New registration, single tenant only.",
            "Enter our address as Redirect URI for the platform Web.",
            "Under Certificates & secrets make a client secret, and copy its Value at once.",
            "Under Token configuration add the optional ID claims email, given_name and family_name.",
            "There too add a groups claim: Groups assigned to the application, as Group ID.",
        ),
        hints={
            "oidc.issuer": "https://login.microsoftonline.com/DIRECTORY-ID/v2.0 with the Directory (tenant) ID of the "
            "page Overview; never common or organizations.",
            "oidc.clientId": "Application (client) ID, on the page Overview.",
            "oidc.clientSecret": "The Value of the secret, not the Secret ID. Note when it expires.",
            "oidc.trustEmail": "Entra never says whether it verified an address. Switch this on for a directory whose "
            "administrators you trust, with domains of its own.",
        },
        groups="Entra sends the object ID of each group, like 6f7b2d1e-1f0a-4c3e-9a51-0c2f4f7d9b10, not its name.",
        fits=r"\Ahttps://login\.microsoftonline\.|\Ahttps://login\.partner\.microsoftonline\.cn/",
    ),
    Preset(
        key="google",
        title="Google Workspace",
        protocol=_OIDC,
        kind="oidc",
        name="google",
        about="Accounts of your Workspace organisation.",
        ours=((CALLBACK, "Authorized redirect URIs"),),
        there=(
            "In the Google Cloud console choose a project of your organisation, and open Google Auth Platform.",
            "Under Audience choose Internal: with External anybody with a Google account would come through.",
            "Under Clients make a client of the type Web application, with our address as redirect URI.",
        ),
        hints={
            "oidc.issuer": "The same for everyone.",
            "oidc.clientId": "Ends in .apps.googleusercontent.com.",
        },
        values={"oidc": {"issuer": "https://accounts.google.com"}},
        rules={"stepUpWithoutTime": True},
        groups="Google sends no groups with OpenID Connect: give the roles that everyone gets, and others by hand.",
        fits=r"\Ahttps://accounts\.google\.com\Z",
    ),
    Preset(
        key="keycloak",
        title="Keycloak",
        protocol=_OIDC,
        kind="oidc",
        name="keycloak",
        about="A realm of your own server.",
        ours=((CALLBACK, "Valid redirect URIs"),),
        there=(
            "In the realm open Clients, then Create client, of the type OpenID Connect.",
            "Switch Client authentication on; authentication flow: Standard flow alone.",
            "Enter our address as valid redirect URI.",
            "On the tab Credentials copy the client secret.",
            "In the dedicated client scope add a mapper Group Membership: claim name groups, Full group path off.",
        ),
        hints={"oidc.issuer": "https://YOUR-KEYCLOAK/realms/YOUR-REALM"},
        fits=r"/realms/[^/]+\Z",
    ),
    Preset(
        key="oidc",
        title="Another provider",
        protocol=_OIDC,
        kind="oidc",
        name="company",
        about="Anything that keeps the standard: Auth0, Ping, Authentik, …",
        ours=(_CALLBACK,),
        there=(
            "Register a confidential web application with the authorisation code flow.",
            "Enter our address as its redirect address, letter by letter.",
            "Let it send the claims email, email_verified, given_name, family_name, and one with the groups.",
        ),
        is_generic=True,
    ),
    Preset(
        key="saml",
        title="Another provider",
        protocol=_SAML,
        kind="saml",
        name="company-saml",
        about="Anything that keeps the standard: AD FS, Entra, Google, Shibboleth, …",
        ours=_SERVICE_PROVIDER,
        there=(
            "Register a service provider: by the address of our metadata, or with the two values below it. Our "
            "certificate is made with the next step, for providers that need it.",
            "Let it sign the response, the assertion, or both, with SHA-256 or better.",
            "Let it send a NameID that stays with a person, and attributes for e-mail, names and groups.",
        ),
        is_generic=True,
    ),
    Preset(
        key="dynamics",
        title="Microsoft Dynamics",
        protocol=_OIDC,
        kind="dynamics",
        name="ms-dynamics",
        about="People of one Dynamics 365 environment.",
        ours=((CALLBACK, "Redirect URI, platform Web"),),
        there=(
            "In the Microsoft Entra admin center open App registrations, then New registration, single tenant only.",
            "Enter our address as Redirect URI for the platform Web.",
            "Under API permissions add Dynamics CRM, delegated: user_impersonation.",
            "Under Certificates & secrets make a client secret, and copy its Value at once.",
        ),
        groups="Entra sends the object ID of each group, not its name.",
    ),
    Preset(
        key="power-apps",
        title="Power Apps",
        protocol=_TOKENS,
        kind="entra",
        name="power-apps",
        about="Apps that bring an Entra ID token along. No one signs in here.",
        ours=(),
        there=(
            "Find the client IDs of the apps that call, and the Directory (tenant) ID.",
            "Tokens for Microsoft Graph need nothing else. For tokens of an application of your own, register one.",
        ),
        groups="Tokens for Graph carry no groups: their people have the roles that everyone gets.",
    ),
)


def _following(kind: Kind[Any, Any]) -> Preset:
    return Preset(
        key=kind.name,
        title="Another provider",
        protocol=kind.name.capitalize(),
        kind=kind.name,
        name=kind.name,
        about=(kind.settings.__doc__ or "").partition("\n")[0],
        ours=(_CALLBACK, *_SERVICE_PROVIDER),
        there=("Register this server there, with our values where it asks for them.",),
        is_generic=True,
    )


_HAVE_ONE = {preset.kind for preset in _PRESET_WRITTEN}
PRESETS = (*_PRESET_WRITTEN, *(_following(kind) for name, kind in KINDS.items() if name not in _HAVE_ONE))
BY_KEY = {preset.key: preset for preset in PRESETS}


def fitting(kind: str, identifier: str) -> Preset:
    """The preset whose words suit a provider that is set up. ``identifier``: what it calls itself."""
    of_kind = [preset for preset in PRESETS if preset.kind == kind]
    special = [preset for preset in of_kind if preset.fits and re.search(preset.fits, identifier)]
    return (special or [preset for preset in of_kind if not preset.fits])[0]
