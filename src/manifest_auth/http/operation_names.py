"""The ``operationId`` of each route in the OpenAPI description, from which generators name functions.

A name is a verb and what it acts on: ``listSessions``, ``adminSuspendClient``. Routes of system admins begin with
``admin``. Names follow from method and path; :data:`NAMED` has those for which that reads badly.
"""

from __future__ import annotations

import re

_VERBS = {"GET": "get", "POST": "create", "PUT": "set", "PATCH": "update", "DELETE": "delete"}
#: Last parts of paths that say what a POST does.
_ACTS = frozenset({
    "check", "clear", "confirm", "continue", "deactivate", "disable", "enable", "prove", "reauthenticate", "restore",
    "retire", "rotate", "suspend", "test", "undo", "vouch",
})  # fmt: skip
_PREFIXES = {"/api/admin/auth/": "admin", "/api/admin/": "admin", "/api/client/auth/": "", "/api/client/": "", "/": ""}
#: Names that method and path do not give.
NAMED = {
    "POST /api/client/auth/sign-in": "signIn",
    "POST /api/client/auth/sign-in/enrol": "enrolAtSignIn",
    "POST /api/client/auth/sign-in/passkey": "signInWithPasskey",
    "POST /api/client/auth/sign-in/passkey/options": "getPasskeySignInOptions",
    "POST /api/client/auth/sign-out": "signOut",
    "POST /api/client/auth/sign-out-all": "signOutAll",
    "POST /api/client/auth/sign-out-others": "signOutOthers",
    "POST /api/client/auth/password": "changePassword",
    "POST /api/client/auth/password/forgot": "forgotPassword",
    "POST /api/client/auth/password/reset": "resetPassword",
    "POST /api/client/auth/email": "changeEmail",
    "POST /api/client/auth/invitations/accept": "acceptInvitation",
    "POST /api/client/auth/link": "readLink",
    "POST /api/client/auth/link/start": "startSignInWithLink",
    "POST /api/client/auth/exchange": "exchangeCode",
    "POST /api/client/auth/refresh": "refreshTokens",
    "POST /api/client/auth/discover": "discoverProviders",
    "POST /api/client/auth/okta-saml": "signInWithSaml",
    "GET /api/client/auth/okta-saml/form": "getSamlForm",
    "GET /api/client/auth/okta-saml/metadata": "getSamlMetadata",
    "GET /api/client/auth/directory/callback": "endDirectoryProof",
    "POST /api/client/auth/identities": "startLinkingIdentity",
    "POST /api/client/auth/identities/token": "linkIdentityByToken",
    "POST /api/client/auth/passkeys/options": "getNewPasskeyOptions",
    "POST /api/client/auth/second-factors/totp": "beginTotp",
    "POST /api/client/auth/second-factors/totp/confirm": "confirmTotp",
    "DELETE /api/client/auth/second-factors/totp": "deleteTotp",
    "POST /api/client/auth/second-factors/recovery-codes": "createRecoveryCodes",
    "DELETE /api/client/auth/second-factors/trusted": "deleteTrustedBrowsers",
    "DELETE /api/client/auth/second-factors/trusted/{id}": "deleteTrustedBrowser",
    "POST /api/client/auth/reauthenticate/options": "getReauthenticationOptions",
    "POST /api/client/auth/reauthenticate/provider": "reauthenticateAtProvider",
    "POST /api/client/graphql": "graphql",
    "GET /api/client/graphql": "graphqlByGet",
    "GET /api/client/graphql/schema.graphql": "getGraphqlSchema",
    "POST /api/client/files": "uploadFile",
    "GET /api/client/files/{file}": "downloadFile",
    "GET /api/client/audit": "listAuditEvents",
    "GET /api/client/audit/export": "exportAuditEvents",
    "POST /api/client/users/{user}/invitation": "inviteUser",
    "GET /api/admin/audit": "adminListAuditEvents",
    "POST /api/admin/auth/sign-in": "adminSignIn",
    "POST /api/admin/auth/sign-out": "adminSignOut",
    "POST /api/admin/auth/refresh": "adminRefreshTokens",
    "POST /api/admin/auth/password": "adminChangePassword",
    "POST /api/admin/auth/second-factor": "adminBeginSecondFactor",
    "POST /api/admin/auth/second-factor/recovery-codes": "adminCreateRecoveryCodes",
    "POST /api/admin/auth/second-factor/remove": "adminRemoveSecondFactor",
    "POST /api/admin/clients/{client}/users/{user}/invitation": "adminInviteClientUser",
    "POST /api/admin/license-on-prem": "adminInstallLicense",
    "GET /api/admin/license-on-prem": "adminGetLicense",
    "PUT /api/admin/directories/{directory}/clients/{client}": "adminGrantDirectoryToClient",
    "DELETE /api/admin/directories/{directory}/clients/{client}": "adminRevokeDirectoryFromClient",
    "GET /healthz": "getHealth",
    "GET /readyz": "getReadiness",
    "GET /.well-known/jwks.json": "getJwks",
    "GET /.well-known/oauth-authorization-server": "getOauthMetadata",
    "POST /oauth2/token": "getServiceToken",
    "POST /oauth2/revoke": "revokeToken",
    "POST /oauth2/introspect": "introspectToken",
    "GET /power-apps.json": "getPowerAppsConnector",
    "GET /assets/brand/{client}/{file}": "getBrandFile",
}


def operation_id(method: str, path: str, *, is_list: bool = False) -> str:
    """The name of a route. ``is_list``: it answers a list."""
    if (named := NAMED.get(f"{method} {path}")) is not None:
        return named
    start = next(start for start in _PREFIXES if path.startswith(start))
    parts = path.removeprefix(start).split("/")
    verb = "list" if is_list else _VERBS[method]
    if method == "POST" and (parts[-1] in _ACTS or _is_phrase(parts[-1], parts)):
        verb, *rest = parts.pop().split("-")
        parts += ["-".join(rest)] if rest else []
    nouns: list[str] = []
    for part in parts:
        if part.startswith("{") and nouns:
            nouns[-1] = _singular(nouns[-1])
        else:
            nouns += [word.capitalize() for word in re.findall(r"[a-z0-9]+", part.removesuffix(".json"))]
    if verb == "create":
        nouns[-1] = _singular(nouns[-1])
    words = f"{verb}{''.join(nouns)}"
    prefix = _PREFIXES[start]
    return f"{prefix}{words[0].upper()}{words[1:]}" if prefix else words


def _is_phrase(part: str, parts: list[str]) -> bool:
    """Whether a part of a path says what to do with what: ``rotate-key``."""
    return len(parts) > 1 and part.partition("-")[0] in ("switch", "rotate", "reset")


def _singular(noun: str) -> str:
    return f"{noun[:-3]}y" if noun.endswith("ies") else noun.removesuffix("s")
