"""The closed list of reasons why a sign-in at a provider is refused, as the log and a client's audit trail record them.

A page of the docs is made from it. ``…`` stands for the part that differs from case to case.
"""

from __future__ import annotations

from manifest_auth.sign_in.providers.kind import Reason
from manifest_auth.sign_in.providers.kinds import KINDS


def _reason(*why: str, cause: str, cure: str) -> Reason:
    return Reason(why, cause, cure)


_START = (
    _reason("state: unknown or expired", "state: used before", "state: used meanwhile",
            cause="more than ten minutes at the provider, the back button, a bookmark of the callback",
            cure="start again at `startUrl`"),
    _reason("state: of another browser", "the request was another browser's",
            cause="the cookie did not come back: another browser or host name than at the start, or cookies are "
                  "blocked. SAML needs https, since its cookie must be `Secure`",
            cure="start at the public address; https"),
    _reason("provider is switched off", "the provider was switched off, changed or deleted meanwhile",
            cause="just that", cure="switch it on; start again"),
    _reason("the client is suspended", cause="a system admin suspended the client", cure="restore the client"),
    _reason("no such client", "no such provider", "no client named, and the provider's name is not pinned",
            "the client has no such provider", "the client that was named does not exist",
            cause="a name that is not known here, or none where several fit",
            cure="`client` and `provider` of the start; a system admin "
                 "[pins the name](../domains.md#names-of-providers)"),
    _reason("the return address was taken off the list meanwhile", cause="just that", cure="`returnAddresses`"),
    _reason(
        "no Admin has saved the return address, which a User Admin added",
        cause="the user is an Admin, and the address is `unconfirmed`",
        cure="an Admin saves `returnAddresses` as it is, or takes the address off",
    ),
    _reason("the provider is of another kind", cause="the start or callback address of another kind of provider",
            cure="the address that `startUrl` shows"),
    _reason("the proof of who asked for the link is too old",
            cause="the person came back more than ten minutes after they proved who they are",
            cure="link again, and confirm who you are when asked"),
    _reason("the session that asked for the link has ended", cause="the person signed out before coming back",
            cure="sign in, and link again"),
    _reason("reauthentication: of another subject", "the session has ended meanwhile",
            "the session that asked for a proof has ended", "no identity at such a provider",
            cause="the person signed in at the provider as someone else, or signed out here meanwhile",
            cure="prove again, with the same account"),
    _reason("reauthentication: the provider sent no time",
            cause="`auth_time`, or the instant of the assertion, is missing",
            cure="have the provider send it; else `stepUpWithoutTime`"),
    _reason("reauthentication: authenticated too long ago",
            cause="the provider took an earlier sign-in: more than ten minutes old",
            cure="a provider that heeds `max_age` and `prompt=login`"),
    _reason("try: the session has ended", "try: of another session", "try: settings:manage was lost",
            cause="who tries the provider in the console signed out meanwhile, or is signed in as someone else",
            cure="try again, in the session that started it"),
)  # fmt: skip
_OIDC = (
    _reason("the answer came to another callback address",
            cause="the answer is another provider's: it came to another's address, or its `iss` names another issuer "
                  "or is missing though it is announced",
            cure="an attack; or a switch at the provider suppresses `iss`; or the wrong `issuer`"),
    _reason("redirect: access_denied", cause="the person cancelled, or is not assigned to the application there",
            cure="assign the person"),
    _reason("redirect: …", cause="the provider refused, with its error code", cure="what the code says"),
    _reason("discovery: the issuer is …", cause="slash at the end, another domain, another realm",
            cure="copy the issuer from the description"),
    _reason("discovery: …", cause="an endpoint in the provider's description is missing or may not be called",
            cure="`test`"),
    _reason("token endpoint answered 401: invalid_client", cause="client id or secret; a secret that expired",
            cure="set a new `clientSecret`"),
    _reason("token endpoint answered …", "token endpoint: …", cause="the provider does not redeem the code",
            cure="`test`; what the code says"),
    _reason("ID token: aud: also for …", cause="the token is for another application besides",
            cure="nothing, or `audiences` where you trust that application"),
    _reason("ID token: signed with …",
            cause="HS256 or `none`, or an algorithm that the description does not list",
            cure="RS256 or better at the provider"),
    _reason("ID token: …",
            cause="a claim (`aud`, `azp`, `iss`, `nonce`, `exp`, `iat`, …) is not as it must be: a token for another "
                  "user, or issued more than a minute ahead of our clock, or expired for a minute; or its key or shape",
            cure="NTP on this server; client id"),
    _reason("userinfo …", "userinfo: …",
            cause="the provider does not tell address or groups, which the ID token lacks",
            cure="`scopes`; what the provider gives this application"),
    _reason("unreachable: …",
            cause="the provider was down, slow, redirected, or at an address that may not be called; where a User "
                  "Admin saved it last, only a test by an Admin says which",
            cure="`test`; [`MANIFEST_OUTGOING_PRIVATE`](../settings.md)"),
)  # fmt: skip
_SAML = (
    _reason("InResponseTo: …", "InResponseTo is missing, though we asked", "response: InResponseTo …",
            "the request was answered before", "the request was another client's", "RelayState: of another sign-in",
            cause="answered twice, too late, in another sign-in, or an unsolicited response that claims to be an "
                  "answer",
            cure="start again; see [generic](generic.md#saml)"),
    _reason("no open request of this browser", "the provider takes no posted requests",
            cause="the page that posts our request was opened in another browser, too late, or for a provider whose "
                  "binding is another one",
            cure="start again"),
    _reason("replay: the assertion was used before", cause="the page was loaded again, or another person has a copy",
            cure="start again; also `assertion_replayed` in the audit trail"),
    _reason("response: no provider with this issuer and audience",
            cause="`entityId` here is not the provider's `Issuer`, or the audience names no client of ours",
            cure="both names"),
    _reason("response: no pinned certificate signed it: …",
            cause="the provider signs with a new key, or the certificate expired",
            cure="pin the new certificate beside the old one"),
    _reason("response: the encrypted assertion cannot be read with our keys",
            cause="encrypted for an old or foreign certificate", cure="give the provider our newest certificate"),
    _reason("response: Audience is …", cause="the audience at the provider is not our entity id for this client",
            cure="`serviceProvider.entityId`, with `?client=acme`"),
    _reason("response: Destination is …", "response: Recipient is …",
            cause="the ACS address at the provider is another one", cure="`serviceProvider.acsUrl`"),
    _reason("response: expired at …", "response: not valid before …", "response: issued in the future: …",
            cause="the provider's clock is more than a minute ahead of ours, or the response is old: by itself, or "
                  "since the provider's clock is behind", cure="NTP"),
    _reason("response: the provider answered …", cause="the provider refused, in its own words", cure="what it says"),
    _reason("response: unsolicited, and the provider does not allow that",
            cause="begun at the provider, and `allowIdpInitiated` is off", cure="switch it on, or start here"),
    _reason("response: …", cause="the response is not as SAML 2.0 and [our rules](generic.md#saml) have it",
            cure="what the rest says; the provider's settings"),
    _reason("RelayState: … is not a listed return address", cause="the provider sends an address that is not listed",
            cure="list it, or send none"),
    _reason("NameID is transient, and no attribute is set to identify the person by",
            cause="the name changes at each sign-in", cure="another NameID format, or `attributes.subject`"),
    _reason("the assertion names no subject",
            cause="no NameID (ADFS sends none unless configured to), or `attributes.subject` is empty for the person",
            cure="send one, or set `attributes.subject`"),
)  # fmt: skip
_MICROSOFT = (
    _reason("tid: …", cause="the account is another directory's", cure="sign in with one of the right directory"),
    _reason("wids: …", cause="who signed in may not speak for the directory, or Microsoft does not say so",
            cure="[prove a directory](../domains.md#prove-one)"),
    _reason("directory: …", "the claim was released meanwhile", "the session that began the proof has ended",
            "who began the proof has lost settings:manage",
            "the application that the proof began with is there no more",
            cause="the proof of a directory was begun in another browser or more than ten minutes ago, or what it "
                  "began with is gone",
            cure="begin the [proof](../domains.md#prove-one) again"),
    _reason("dataverse answered 403: …", "Dataverse names no user",
            cause="the person is no user of the environment, or has no security role there",
            cure="[add the person](dynamics.md#1-in-entra)"),
    _reason("oid: missing", cause="an ID token without the scope `profile`, or no person's",
            cure="the app registration"),
    _reason("another subject of this person belongs to another user",
            cause="Dynamics: the user in Dataverse was given to another person", cure="unlink the old identity"),
    _reason("entra: …", "link: …", "Graph …", "Graph: a guest", "oid: Graph names another person", "on behalf of: …",
            cause="a token of Entra ID that is not accepted, or its exchange for one for Graph was refused",
            cure="[Power Apps](power-apps.md#when-it-fails)"),
)  # fmt: skip
_WHO = (
    _reason("an account has this address, and the provider does not vouch for it",
            cause="the domain is not in `domains`, or the address is not verified there",
            cure="`domains`; verify it; or an invitation"),
    _reason("an account has this address, and nothing vouches for it: …",
            cause="the domain is claimed, and not [proved](../domains.md) for this client",
            cure="its DNS record; the operator vouches; or an invitation"),
    _reason("the account with this address belongs to another subject of the provider",
            "the account with this address belongs to another subject of its issuer",
            cause="the address passed to another person, or the person was made anew at the provider. The server knows "
                  "the subjects of a provider that was deleted, too",
            cure="invite the person, or give the new one another address"),
    _reason("the account with this address belongs to a person of another provider",
            cause="another provider of the client vouched for the address, or an Admin confirmed its person: nobody "
                  "knows whether it is the same one",
            cure="sign in with the other provider and link this one; or an invitation"),
    _reason("the groups give the role Admin alone, and no Admin confirmed the identity",
            cause="the provider does not vouch for the user's address in a domain that counts",
            cure="confirm the identity, see [rank](README.md#rank)"),
    _reason("the account with this address was made without anybody vouching for the address",
            cause="an account made just in time with an address that was not verified: it may be another person's",
            cure="an Admin checks whose account it is; an invitation"),
    _reason("unknown person, and the provider creates no users", cause="the person is not linked yet",
            cure="invitation, or `createUsers`"),
    _reason("unknown person of a foreign domain", cause="the address is not of a domain in `domains`",
            cure="`domains`, or an invitation"),
    _reason("unknown person without a valid e-mail address", "no account can be made: …",
            cause="an account needs a valid address, and names that fit", cure="what the provider tells of people"),
    _reason("the subject has …", cause="a subject of more than 512 characters, or none",
            cure="another claim as subject"),
    _reason("the identity belongs to another user", cause="the identity that is to be linked is another user's already",
            cure="unlink it there first"),
    _reason("the invitation is used up or expired", "the invitation was used meanwhile",
            "invitation: unknown, used or expired",
            cause="a second use, more than 72 hours, or closed by another address or a deactivation",
            cure="invite again; the newest counts"),
    _reason("the provider does not say which groups: too many for its token", cause="Entra ID sends none above 200",
            cure="*Groups assigned to the application* [there](entra-id.md#openid-connect)"),
    _reason("no group gives a role; …",
            cause="no group arrived, or none is in the table; the reason goes on with the groups and the names of the "
                  "claims or attributes that did arrive",
            cure="look at the group claim at the provider; `groupRoles`, `defaultRoles`"),
    _reason("no seat: …", cause="the licence has no free seat of that kind", cure="[seats](../on-premise.md#seats)"),
    _reason("an Admin's account by now, and …", "an Admin's account, and the provider was last changed by a User Admin",
            cause="see [rank](README.md#rank)", cure="an Admin saves the provider, or invites"),
    _reason("one-time code: …",
            cause="a code shown twice, after 60 seconds, without its verifier, or after the end of the session that "
                  "gave it",
            cure="the app exchanges at once, once; also `sign_in_code_reused` in the audit trail"),
)  # fmt: skip
REASONS = (*_START, *_OIDC, *_SAML, *_MICROSOFT, *(reason for kind in KINDS.values() for reason in kind.reasons), *_WHO)

_HEAD = """\
# Why a sign-in was refused

<!-- Made from `src/manifest_auth/sign_in/refusal_reasons.py` by `./dev docs`; edit that file instead. -->

People see one sentence; the reason is for you: in the log (`refused`, with `reason`) and, where the client is known, in
its audit trail (`sign_in_failed` and `sign_in_refused`, `detail.why`). Both carry the request id that the answer shows.

| `why` begins with | cause | cure |
| --- | --- | --- |
"""


def reasons_page() -> str:
    """The page of the docs (Markdown) with the whole list, in its order."""
    return _HEAD + "".join(
        f"| {', '.join(f'`{why}`' for why in reason.why)} | {reason.cause} | {reason.cure} |\n" for reason in REASONS
    )
