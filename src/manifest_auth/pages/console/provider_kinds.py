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

# Fields of a kind that isn't listed here are derived from its settings. A field has the name of the member that it
# fills (``oidc.issuer``), so a refusal that names the member is shown beside the field. The member's own model defines
# which values are valid.


class Field(NamedTuple):
    """A field of a form. ``input``: text, secret, lines (one text each), words (texts without spaces), certificates,
    flag, choice, prose; ``options``: values and texts of a choice; ``is_more``: few people need it; ``is_imported``:
    metadata provides it; ``is_asked_only``: it isn't a member of a body."""

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


_CLIENT_ID, _CLIENT_SECRET = _("Client ID"), _("Client secret")
_GROUP_CLAIM = _("Groups claim")
_TRUST = _("Trust its email addresses")
_OWN_DOMAINS = _("Applies only to its own domains.")
_ONE_PER_LINE = _("One per line.")
_CLOUD = _("Microsoft cloud")
_CLOUDS = (
    ("", _("The server's default")),
    ("global", _("Global")),
    ("us-gov", _("US Government")),
    ("us-dod", _("US Department of Defense")),
    ("china", _("China")),
    ("custom", _("Custom")),
)

_FIELD_WRITTEN: dict[str, tuple[Field, ...]] = {
    "oidc": (
        Field(
            "oidc.issuer",
            _("Issuer"),
            hint=_("The URL before /.well-known/openid-configuration, exactly, including a final slash."),
        ),
        Field("oidc.clientId", _CLIENT_ID),
        Field("oidc.clientSecret", _CLIENT_SECRET, "secret"),
        Field(
            "oidc.unchecked",
            _("Save without checking the issuer"),
            "flag",
            _("For a provider that this server can't reach yet."),
            is_more=True,
            is_asked_only=True,
        ),
        Field("oidc.groupClaim", _GROUP_CLAIM, hint=_("For example, groups."), is_more=True),
        Field("oidc.scopes", _("Scopes"), "words", _("Separated by spaces. Must include openid."), is_more=True),
        Field(
            "oidc.clientAuthentication",
            _("Client authentication"),
            "choice",
            options=(
                ("auto", _("As announced by the provider")),
                ("basic", _("In the header (basic)")),
                ("post", _("In the body (post)")),
                ("none", _("No client secret (none)")),
            ),
            is_more=True,
        ),
        Field(
            "oidc.audiences",
            _("Additional audiences"),
            "lines",
            _("One per line. ID tokens can name these in addition to the client ID."),
            is_more=True,
        ),
        Field(
            "oidc.trustEmail",
            _TRUST,
            "flag",
            _("For a provider that doesn't send email_verified. Applies only to its own domains."),
            is_more=True,
        ),
    ),
    "saml": (
        Field(
            "saml.metadataUrl",
            _("Metadata URL"),
            hint=_("Fetched once, when you save. Or paste the document below."),
            is_asked_only=True,
        ),
        Field("saml.metadata", _("Metadata document"), "prose", _("The XML that the provider shows or downloads.")),
        Field("saml.entityId", _("Entity ID (issuer)"), is_more=True, is_imported=True),
        Field("saml.redirectUrl", _("Sign-on URL (redirect)"), is_more=True, is_imported=True),
        Field("saml.postUrl", _("Sign-on URL (POST)"), is_more=True, is_imported=True),
        Field(
            "saml.binding",
            _("Request binding"),
            "choice",
            options=(("redirect", "Redirect"), ("post", "POST")),
            is_more=True,
            is_imported=True,
        ),
        Field(
            "saml.certificates",
            _("Signing certificates"),
            "certificates",
            _("To replace one without an interruption, add the new one before the old one expires."),
            is_more=True,
            is_imported=True,
        ),
        Field("saml.signRequests", _("Sign requests to the provider"), "flag", is_more=True, is_imported=True),
        Field(
            "saml.allowIdpInitiated",
            _("Accept sign-ins that start at the provider"),
            "flag",
            _("For example, from a tile on its dashboard."),
            is_more=True,
        ),
        Field(
            "saml.expiredCertificates",
            _("Expired pinned certificates"),
            "choice",
            options=(("refuse", _("Reject")), ("accept", _("Accept"))),
            is_more=True,
        ),
        Field(
            "saml.attributes.subject",
            _("Attribute that identifies the user"),
            hint=_("If empty, the NameID is used. If you change it later, every user becomes a new user."),
            is_more=True,
        ),
        Field(
            "saml.attributes.email",
            _("Email attribute"),
            hint=_("If empty, common names are tried."),
            is_more=True,
        ),
        Field("saml.attributes.firstName", _("First name attribute"), is_more=True),
        Field("saml.attributes.lastName", _("Last name attribute"), is_more=True),
        Field("saml.attributes.groups", _("Groups attribute"), is_more=True),
    ),
    "dynamics": (
        Field("dynamics.directory", _("Directory (tenant) ID")),
        Field("dynamics.clientId", _("Application (client) ID")),
        Field("dynamics.clientSecret", _CLIENT_SECRET, "secret", _("Enter its Value, not its Secret ID.")),
        Field(
            "dynamics.organization",
            _("Environment URL"),
            hint=_("For example, https://contoso.crm.dynamics.com."),
        ),
        Field("dynamics.cloud", _CLOUD, "choice", options=_CLOUDS, is_more=True),
        Field("dynamics.groupClaim", _GROUP_CLAIM, is_more=True),
        Field("dynamics.audiences", _("Additional audiences"), "lines", _ONE_PER_LINE, is_more=True),
        Field("dynamics.trustEmail", _TRUST, "flag", _OWN_DOMAINS, is_more=True),
        Field("dynamics.keepTokens", _("Store Microsoft's tokens, encrypted"), "flag", is_more=True),
    ),
    "entra": (
        Field("entra.directory", _("Directory (tenant) ID")),
        Field("entra.applications", _("Client IDs of the apps"), "lines", _ONE_PER_LINE),
        Field(
            "entra.graphTokens",
            _("Accept tokens for Microsoft Graph"),
            "flag",
            _("Only tokens that Graph also accepts."),
        ),
        Field(
            "entra.clientId",
            _("Client ID of this server's application"),
            hint=_("The directory's keys verify tokens for this application."),
        ),
        Field(
            "entra.clientSecret",
            _("Client secret of this server's application"),
            "secret",
            _("Required to call Graph on behalf of the user."),
            is_more=True,
        ),
        Field("entra.appIdUri", _("App ID URI"), is_more=True),
        Field(
            "entra.scopes",
            _("Required scopes"),
            "words",
            _("A token must have one of them. Separate them with spaces."),
            is_more=True,
        ),
        Field("entra.cloud", _CLOUD, "choice", options=_CLOUDS, is_more=True),
        Field("entra.askGraph", _("Ask Graph for each user's profile"), "flag", is_more=True),
        Field("entra.guests", _("Accept guest users of the directory"), "flag", is_more=True),
        Field("entra.groupClaim", _GROUP_CLAIM, is_more=True),
        Field("entra.trustEmail", _TRUST, "flag", _OWN_DOMAINS, is_more=True),
    ),
}


def following(kind: Kind[Any, Any]) -> Iterator[Field]:
    """Yields the fields of a kind's settings: texts, lists of texts, choices and flags. Others can be set only with the
    API."""
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
        yield Field(f"{kind.name}.clientSecret", _CLIENT_SECRET, "secret")


FIELDS = {name: _FIELD_WRITTEN.get(name) or tuple(following(kind)) for name, kind in KINDS.items()}


# All differences between providers are data here, and no other code depends on them. A kind without a preset gets a
# derived one.


_NOTHING: Mapping[str, Any] = MappingProxyType({})

CALLBACK, ENTITY, ACS, METADATA = "callback_url", "entity_id", "acs_url", "metadata_url"


class Preset(NamedTuple):
    """A provider that the wizard knows. ``key``: in addresses; ``name``: suggested for the provider; ``ours``: the
    server's values to enter there, with the provider's labels; ``there``: the steps there, in order; ``hints``: for the
    form's fields, by their paths; ``values``: their initial values; ``rules``: the initial rules; ``groups``: how
    groups arrive; ``fits``: a pattern for identifiers of existing providers; ``is_generic``: for all providers without
    a preset."""

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
    groups: str = _("Enter each group exactly as the provider sends it, including capital letters.")
    fits: str = ""
    is_generic: bool = False

    @property
    def product(self) -> str:
        """Its name in sentences."""
        return _("the provider") if self.is_generic else self.title

    @property
    def label(self) -> str:
        """Product and protocol, shown for an existing provider."""
        if self.is_generic:
            return self.protocol
        return _("%(product)s, %(protocol)s", product=self.title, protocol=self.protocol)


_OIDC, _SAML, _TOKENS = "OpenID Connect", "SAML 2.0", _("Access tokens")
_CALLBACK = (CALLBACK, _("Redirect URI or callback URL"))
_SERVICE_PROVIDER = (
    (METADATA, _("Metadata URL")),
    (ENTITY, _("Entity ID (audience)")),
    (ACS, _("Assertion consumer service URL (POST)")),
)
# Labels on a provider's own pages stay in English, as in its documentation.
_ASSIGN = _("Assign the people or groups who can sign in.")
_IN_ENTRA = (
    _("In the Microsoft Entra admin center, open App registrations, and then New registration. Choose single tenant."),
    _("Enter the value above as the redirect URI for the Web platform."),
)
_ENTRA_SECRET = _("Under Certificates & secrets, create a client secret, and copy its Value immediately.")
_ENTRA_GROUPS = _("Entra sends the object ID of each group, not its name.")
_PRESET_WRITTEN = (
    Preset(
        key="okta-oidc",
        title="Okta",
        protocol=_OIDC,
        kind="oidc",
        name="okta",
        about=_("Simpler to set up. Choose it if you can."),
        ours=((CALLBACK, "Sign-in redirect URIs"),),
        there=(
            _("In the Okta Admin Console, open Applications, and then select Create App Integration."),
            _("Choose OIDC and Web Application. As the grant type, select only Authorization Code."),
            _("Enter the value above as the Sign-in redirect URI. Leave Sign-out redirect URIs empty."),
            _ASSIGN,
            _("On the Sign On tab, add a Groups claim filter: groups, Matches regex, .*"),
        ),
        hints={
            "oidc.issuer": _(
                "https://YOUR-ORGANIZATION.okta.com, without -admin. For a custom authorization server, enter its "
                "Issuer URI."
            ),
            "oidc.clientId": _("On the General tab of the application."),
            "oidc.clientSecret": _("On the same tab, under Client secrets."),
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
        about=_("With a tile on the Okta dashboard."),
        ours=((ACS, "Single sign-on URL"), (ENTITY, "Audience URI (SP Entity ID)")),
        there=(
            _("In the Okta Admin Console, open Applications, select Create App Integration, and choose SAML 2.0."),
            _("Enter the two values above. As the Name ID format, choose Persistent or Unspecified, never Transient."),
            _("Add attribute statements: email = user.email, firstName = user.firstName, lastName = user.lastName."),
            _("Add a group attribute statement: groups, Matches regex, .*"),
            _ASSIGN,
            _("On the Sign On tab, open SAML Signing Certificates, Actions, and then View IdP metadata."),
        ),
        hints={"saml.metadataUrl": _("The URL of the page that View IdP metadata opens.")},
        fits=r"\Ahttps?://www\.okta\.com/",
    ),
    Preset(
        key="entra",
        title="Microsoft Entra ID",
        protocol=_OIDC,
        kind="oidc",
        name="entra",
        about=_("Work accounts in one Microsoft directory."),
        ours=((CALLBACK, "Redirect URI, platform Web"),),
        there=(
            *_IN_ENTRA,
            _ENTRA_SECRET,
            _("Under Token configuration, add the optional ID claims email, given_name, and family_name."),
            _("Also add a groups claim: Groups assigned to the application, as Group ID."),
        ),
        hints={
            "oidc.issuer": _(
                "https://login.microsoftonline.com/DIRECTORY-ID/v2.0, with the Directory (tenant) ID from the Overview "
                "page. Never common or organizations."
            ),
            "oidc.clientId": _("Application (client) ID, on the Overview page."),
            "oidc.clientSecret": _("The Value of the secret, not the Secret ID. Note when it expires."),
            "oidc.trustEmail": _(
                "Entra doesn't say whether it verified an address. Turn this on only for a directory whose "
                "administrators you trust. Applies only to its own domains."
            ),
        },
        groups=_ENTRA_GROUPS,
        fits=r"\Ahttps://login\.microsoftonline\.|\Ahttps://login\.partner\.microsoftonline\.cn/",
    ),
    Preset(
        key="google",
        title="Google Workspace",
        protocol=_OIDC,
        kind="oidc",
        name="google",
        about=_("Accounts in your Google Workspace organization."),
        ours=((CALLBACK, "Authorized redirect URIs"),),
        there=(
            _("In the Google Cloud console, choose your organization's project, and open Google Auth Platform."),
            _("Under Audience, choose Internal. External admits anyone with a Google account."),
            _("Under Clients, create a Web application client with the value above as its redirect URI."),
        ),
        hints={
            "oidc.issuer": _("The same for every organization."),
            "oidc.clientId": _("Ends in .apps.googleusercontent.com."),
        },
        values={"oidc": {"issuer": "https://accounts.google.com"}},
        rules={"stepUpWithoutTime": True},
        groups=_(
            "Google sends no groups with OpenID Connect. Assign roles for everyone here, and other roles to "
            "individual users."
        ),
        fits=r"\Ahttps://accounts\.google\.com\Z",
    ),
    Preset(
        key="keycloak",
        title="Keycloak",
        protocol=_OIDC,
        kind="oidc",
        name="keycloak",
        about=_("A realm on your own server."),
        ours=((CALLBACK, "Valid redirect URIs"),),
        there=(
            _("In the realm, open Clients, and then Create client. Choose the type OpenID Connect."),
            _("Turn on Client authentication. As the authentication flow, select only Standard flow."),
            _("Enter the value above as a valid redirect URI."),
            _("On the Credentials tab, copy the client secret."),
            _(
                "In the dedicated client scope, add a Group Membership mapper. Claim name: groups. Full group path: "
                "off."
            ),
        ),
        hints={"oidc.issuer": "https://YOUR-KEYCLOAK/realms/YOUR-REALM"},
        fits=r"/realms/[^/]+\Z",
    ),
    Preset(
        key="oidc",
        title=_("Another provider"),
        protocol=_OIDC,
        kind="oidc",
        name="company",
        about=_("Any provider that follows the standard. For example, Auth0, Ping, or Authentik."),
        ours=(_CALLBACK,),
        there=(
            _("Register a confidential web application with the authorization code flow."),
            _("As its redirect URI, enter exactly the value above."),
            _("Configure these claims: email, email_verified, given_name, family_name, and one with the groups."),
        ),
        is_generic=True,
    ),
    Preset(
        key="saml",
        title=_("Another provider"),
        protocol=_SAML,
        kind="saml",
        name="company-saml",
        about=_("Any provider that follows the standard. For example, AD FS, Entra, Google, or Shibboleth."),
        ours=_SERVICE_PROVIDER,
        there=(
            _(
                "Register a service provider with the metadata URL, or with the two values below it. The next step "
                "creates this server's certificate, for providers that need it."
            ),
            _("Configure it to sign the response, the assertion, or both, with SHA-256 or stronger."),
            _("Configure a permanent NameID, and attributes for email, names, and groups."),
        ),
        is_generic=True,
    ),
    Preset(
        key="dynamics",
        title="Microsoft Dynamics",
        protocol=_OIDC,
        kind="dynamics",
        name="ms-dynamics",
        about=_("Users of one Dynamics 365 environment."),
        ours=((CALLBACK, "Redirect URI, platform Web"),),
        there=(
            *_IN_ENTRA,
            _("Under API permissions, add the delegated permission user_impersonation of Dynamics CRM."),
            _ENTRA_SECRET,
        ),
        groups=_ENTRA_GROUPS,
    ),
    Preset(
        key="power-apps",
        title="Power Apps",
        protocol=_TOKENS,
        kind="entra",
        name="power-apps",
        about=_("For apps that send Entra ID tokens. Nobody signs in here."),
        ours=(),
        there=(
            _("Find the client IDs of the apps, and the Directory (tenant) ID."),
            _(
                "Tokens for Microsoft Graph need no further setup. To accept tokens for your own application, "
                "register one."
            ),
        ),
        groups=_("Tokens for Graph contain no groups. Their users get the roles for everyone."),
    ),
)


def _following(kind: Kind[Any, Any]) -> Preset:
    return Preset(
        key=kind.name,
        title=_("Another provider"),
        protocol=kind.name.capitalize(),
        kind=kind.name,
        name=kind.name,
        about=(kind.settings.__doc__ or "").partition("\n")[0],
        ours=(_CALLBACK, *_SERVICE_PROVIDER),
        there=(_("Register this server at the provider with the values above."),),
        is_generic=True,
    )


_HAVE_ONE = {preset.kind for preset in _PRESET_WRITTEN}
PRESETS = (*_PRESET_WRITTEN, *(_following(kind) for name, kind in KINDS.items() if name not in _HAVE_ONE))
BY_KEY = {preset.key: preset for preset in PRESETS}


def fitting(kind: str, identifier: str) -> Preset:
    """Returns the preset that matches an existing provider. ``identifier`` is the provider's own."""
    of_kind = [preset for preset in PRESETS if preset.kind == kind]
    special = [preset for preset in of_kind if preset.fits and re.search(preset.fits, identifier)]
    return (special or [preset for preset in of_kind if not preset.fits])[0]
