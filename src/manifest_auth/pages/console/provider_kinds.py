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


_GROUP_CLAIM = _("Claim that contains the groups")
_TRUST = _("Accept its email addresses as verified")
_CLOUDS = (
    ("", _("Default of this server")),
    ("global", _("Global")),
    ("us-gov", "US Government"),
    ("us-dod", "US Department of Defense"),
    ("china", _("China")),
    ("custom", _("Custom")),
)

_FIELD_WRITTEN: dict[str, tuple[Field, ...]] = {
    "oidc": (
        Field(
            "oidc.issuer",
            _("Issuer"),
            hint=_("The part of the URL before /.well-known/openid-configuration. A slash at the end matters."),
        ),
        Field("oidc.clientId", _("Client ID")),
        Field("oidc.clientSecret", _("Client secret"), "secret"),
        Field(
            "oidc.unchecked",
            _("Save without checking the issuer"),
            "flag",
            _("For a provider that this server can't reach yet."),
            is_more=True,
            is_asked_only=True,
        ),
        Field("oidc.groupClaim", _GROUP_CLAIM, hint=_("Usually groups."), is_more=True),
        Field("oidc.scopes", _("Scopes"), "words", _("Separated by spaces. Must include openid."), is_more=True),
        Field(
            "oidc.clientAuthentication",
            _("Client authentication"),
            "choice",
            options=(
                ("auto", _("As the provider announces")),
                ("basic", _("In a header (basic)")),
                ("post", _("In the form (post)")),
                ("none", _("None")),
            ),
            is_more=True,
        ),
        Field(
            "oidc.audiences",
            _("Additional audiences"),
            "lines",
            _("One per line. ID tokens can contain these in addition to the client ID."),
            is_more=True,
        ),
        Field(
            "oidc.trustEmail",
            _TRUST,
            "flag",
            _("For providers that don't say whether they verified an address. Applies only to the provider's domains."),
            is_more=True,
        ),
    ),
    "saml": (
        Field(
            "saml.metadataUrl",
            _("Metadata URL"),
            hint=_("Fetched once, now. Alternatively, paste the document below."),
            is_asked_only=True,
        ),
        Field(
            "saml.metadata",
            _("Metadata document"),
            "prose",
            _("The XML document that the provider shows or downloads."),
        ),
        Field("saml.entityId", _("Entity ID (issuer)"), is_more=True, is_imported=True),
        Field("saml.redirectUrl", _("Sign-on URL, redirect binding"), is_more=True, is_imported=True),
        Field("saml.postUrl", _("Sign-on URL, POST binding"), is_more=True, is_imported=True),
        Field(
            "saml.binding",
            _("Binding for requests"),
            "choice",
            options=(("redirect", "Redirect"), ("post", "POST")),
            is_more=True,
            is_imported=True,
        ),
        Field(
            "saml.certificates",
            _("Signing certificates"),
            "certificates",
            _(
                "Any of them can sign. To replace one without interruption, add the new certificate "
                "before the old one expires."
            ),
            is_more=True,
            is_imported=True,
        ),
        Field("saml.signRequests", _("Sign requests"), "flag", is_more=True, is_imported=True),
        Field(
            "saml.allowIdpInitiated",
            _("Accept sign-ins that start at the provider"),
            "flag",
            _("For example, from a tile on the provider's page."),
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
            hint=_(
                "Default: NameID. Set it before the first sign-in. If you change it later, existing "
                "users aren't recognized."
            ),
            is_more=True,
        ),
        Field(
            "saml.attributes.email",
            _("Email attribute"),
            hint=_("Default: common attribute names."),
            is_more=True,
        ),
        Field("saml.attributes.firstName", _("First name attribute"), is_more=True),
        Field("saml.attributes.lastName", _("Last name attribute"), is_more=True),
        Field("saml.attributes.groups", _("Groups attribute"), is_more=True),
    ),
    "dynamics": (
        Field("dynamics.directory", _("Directory (tenant) ID")),
        Field("dynamics.clientId", "Application (client) ID"),
        Field("dynamics.clientSecret", _("Client secret"), "secret", _("Its value, not its ID.")),
        Field("dynamics.organization", _("Environment URL"), hint=_("For example, https://contoso.crm.dynamics.com.")),
        Field("dynamics.cloud", _("Microsoft cloud"), "choice", options=_CLOUDS, is_more=True),
        Field("dynamics.groupClaim", _GROUP_CLAIM, is_more=True),
        Field("dynamics.audiences", _("Additional audiences"), "lines", _("One per line."), is_more=True),
        Field("dynamics.trustEmail", _TRUST, "flag", _("Applies only to the provider's domains."), is_more=True),
        Field("dynamics.keepTokens", _("Store Microsoft's tokens, encrypted"), "flag", is_more=True),
    ),
    "entra": (
        Field("entra.directory", _("Directory (tenant) ID")),
        Field("entra.applications", _("Client IDs of the apps that can call the API"), "lines", _("One per line.")),
        Field(
            "entra.graphTokens",
            _("Accept tokens for Microsoft Graph"),
            "flag",
            _("After Microsoft Graph accepted them."),
        ),
        Field(
            "entra.clientId",
            _("Client ID of this server's application"),
            hint=_("The keys of the directory verify tokens for it."),
        ),
        Field(
            "entra.clientSecret",
            _("Client secret of this server's application"),
            "secret",
            _("Required to ask Microsoft Graph on behalf of the caller."),
            is_more=True,
        ),
        Field("entra.appIdUri", "App ID URI", is_more=True),
        Field("entra.scopes", _("Required scopes (any of them)"), "words", is_more=True),
        Field("entra.cloud", _("Microsoft cloud"), "choice", options=_CLOUDS, is_more=True),
        Field("entra.askGraph", _("Ask Microsoft Graph for each caller's profile"), "flag", is_more=True),
        Field("entra.guests", _("Allow guests of the directory"), "flag", is_more=True),
        Field("entra.groupClaim", _GROUP_CLAIM, is_more=True),
        Field("entra.trustEmail", _TRUST, "flag", _("Applies only to the provider's domains."), is_more=True),
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
        yield Field(f"{kind.name}.clientSecret", _("Client secret"), "secret")


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
    groups: str = _("Enter each group exactly as the provider sends it. Groups are case-sensitive.")
    fits: str = ""
    is_generic: bool = False

    @property
    def product(self) -> str:
        """As sentences call it."""
        return _("the provider") if self.is_generic else self.title

    @property
    def label(self) -> str:
        """Product and protocol, for who looks at one that is set up."""
        return self.protocol if self.is_generic else f"{self.title}, {self.protocol}"


_OIDC, _SAML, _TOKENS = "OpenID Connect", "SAML 2.0", "Access tokens"
_CALLBACK = (CALLBACK, _("Redirect URI (callback URL)"))
_SERVICE_PROVIDER = (
    (METADATA, _("Metadata URL")),
    (ENTITY, _("Entity ID (audience)")),
    (ACS, _("Assertion consumer service URL (POST)")),
)
_PRESET_WRITTEN = (
    Preset(
        key="okta-oidc",
        title="Okta",
        protocol=_OIDC,
        kind="oidc",
        name="okta",
        about=_("Recommended. Fewer steps than SAML."),
        ours=((CALLBACK, "Sign-in redirect URIs"),),
        there=(
            _("In the Okta Admin Console, open Applications → Create App Integration."),
            _("Select OIDC and Web Application. As the grant type, select only Authorization Code."),
            _(
                "Under Sign-in redirect URIs, enter the redirect URI from this page. Leave Sign-out "
                "redirect URIs empty."
            ),
            _("Assign the people or groups that can sign in."),
            _("On the Sign On tab, add a Groups claim filter: groups, Matches regex, .*"),
        ),
        hints={
            "oidc.issuer": _(
                "https://YOUR-ORGANIZATION.okta.com, without -admin. For a custom authorization "
                "server, enter its Issuer URI. For example, "
                "https://YOUR-ORGANIZATION.okta.com/oauth2/default."
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
        about=_("Adds a tile to the Okta dashboard."),
        ours=((ACS, "Single sign-on URL"), (ENTITY, "Audience URI (SP Entity ID)")),
        there=(
            _("In the Okta Admin Console, open Applications → Create App Integration, and select SAML 2.0."),
            _(
                "Enter the two values from this page. As the Name ID format, select Persistent or "
                "Unspecified, never Transient."
            ),
            _(
                "Add these attribute statements: email = user.email, firstName = user.firstName, "
                "lastName = user.lastName."
            ),
            _("Add this group attribute statement: groups, Matches regex, .*"),
            _("Assign the people or groups that can sign in."),
            _("On the Sign On tab, open SAML Signing Certificates → Actions → View IdP metadata."),
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
        about=_("Work accounts of one Microsoft directory."),
        ours=((CALLBACK, "Redirect URI, platform Web"),),
        there=(
            _("In the Microsoft Entra admin center, open App registrations → New registration. Select single tenant."),
            _("Select the platform Web, and enter the redirect URI from this page."),
            _("Under Certificates & secrets, create a client secret, and copy its value immediately."),
            _("Under Token configuration, add the optional ID claims email, given_name, and family_name."),
            _("On the same page, add a groups claim: Groups assigned to the application, as Group ID."),
        ),
        hints={
            "oidc.issuer": _(
                "https://login.microsoftonline.com/DIRECTORY-ID/v2.0, with the Directory (tenant) ID "
                "from the Overview page. Don't use common or organizations."
            ),
            "oidc.clientId": _("Application (client) ID, on the Overview page."),
            "oidc.clientSecret": _("The value of the secret, not its ID. Note when it expires."),
            "oidc.trustEmail": _(
                "Entra doesn't say whether it verified an address. Turn this on only for directories "
                "with their own domains and administrators that you trust."
            ),
        },
        groups=_(
            "Entra sends the object ID of each group, not its name. For example, 6f7b2d1e-1f0a-4c3e-9a51-0c2f4f7d9b10."
        ),
        fits=r"\Ahttps://login\.microsoftonline\.|\Ahttps://login\.partner\.microsoftonline\.cn/",
    ),
    Preset(
        key="google",
        title="Google Workspace",
        protocol=_OIDC,
        kind="oidc",
        name="google",
        about=_("Accounts of your Google Workspace organization."),
        ours=((CALLBACK, "Authorized redirect URIs"),),
        there=(
            _("In the Google Cloud console, select your organization's project, and open Google Auth Platform."),
            _("Under Audience, select Internal. With External, anyone with a Google account could sign in."),
            _("Under Clients, create a Web application client with the redirect URI from this page."),
        ),
        hints={
            "oidc.issuer": _("The same for all organizations."),
            "oidc.clientId": _("Ends with .apps.googleusercontent.com."),
        },
        values={"oidc": {"issuer": "https://accounts.google.com"}},
        rules={"stepUpWithoutTime": True},
        groups=_(
            "Google doesn't send groups with OpenID Connect. Set the roles for everyone, and assign "
            "other roles to users manually."
        ),
        fits=r"\Ahttps://accounts\.google\.com\Z",
    ),
    Preset(
        key="keycloak",
        title="Keycloak",
        protocol=_OIDC,
        kind="oidc",
        name="keycloak",
        about=_("A realm of your own server."),
        ours=((CALLBACK, "Valid redirect URIs"),),
        there=(
            _("In the realm, open Clients → Create client, and select the type OpenID Connect."),
            _("Turn on Client authentication. As the authentication flow, select only Standard flow."),
            _("Under Valid redirect URIs, enter the redirect URI from this page."),
            _("On the Credentials tab, copy the client secret."),
            _(
                "In the dedicated client scope, add a Group Membership mapper with the claim name "
                "groups. Turn off Full group path."
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
        about=_("Any provider that supports OpenID Connect, such as Auth0, Ping, or Authentik."),
        ours=(_CALLBACK,),
        there=(
            _("Register a confidential web application with the authorization code flow."),
            _("Enter the redirect URI from this page exactly."),
            _("Send the claims email, email_verified, given_name, and family_name, and a claim with the groups."),
        ),
        is_generic=True,
    ),
    Preset(
        key="saml",
        title=_("Another provider"),
        protocol=_SAML,
        kind="saml",
        name="company-saml",
        about=_("Any provider that supports SAML 2.0, such as AD FS, Entra, Google, or Shibboleth."),
        ours=_SERVICE_PROVIDER,
        there=(
            _(
                "Register a service provider with the metadata URL, or with the two values below it. "
                "If the provider needs a certificate, the next step creates one."
            ),
            _("Sign the response, the assertion, or both, with SHA-256 or better."),
            _("Send an unchanging NameID for each user, and attributes for email, names, and groups."),
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
            _("In the Microsoft Entra admin center, open App registrations → New registration. Select single tenant."),
            _("Select the platform Web, and enter the redirect URI from this page."),
            _("Under API permissions, add the delegated permission user_impersonation of Dynamics CRM."),
            _("Under Certificates & secrets, create a client secret, and copy its value immediately."),
        ),
        groups=_("Entra sends the object ID of each group, not its name."),
    ),
    Preset(
        key="power-apps",
        title="Power Apps",
        protocol=_TOKENS,
        kind="entra",
        name="power-apps",
        about=_("Apps that send an Entra ID token. Nobody signs in here."),
        ours=(),
        there=(
            _("Find the Directory (tenant) ID and the client IDs of the calling apps."),
            _(
                "For tokens for Microsoft Graph, you need nothing else. To use tokens of your own "
                "application, register one."
            ),
        ),
        groups=_("Tokens for Microsoft Graph contain no groups, so users get only the roles for everyone."),
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
        there=(_("Register this server there with the values on this page."),),
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
