"""Declaration of pages, and checks before a handler runs: the only host, who is signed in, the form's token."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType, SimpleNamespace
from typing import Annotated, Any, get_args, get_type_hints
from urllib.parse import quote

import msgspec
from msgspec import Meta

from manifest_auth import tenants
from manifest_auth.accounts.admins import management as admin_console
from manifest_auth.context import AdminCaller, Principal
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InternalError,
    InvalidToken,
    LicenseExpired,
    LicenseRequired,
    MfaRequired,
    NotFound,
    PayloadTooLarge,
    ReauthenticationRequired,
    Refusal,
    TokenExpired,
    Unauthenticated,
    ValidationError,
)
from manifest_auth.http import (
    AUTH_LIMIT,
    Access,
    Answer,
    Call,
    Head,
    Route,
    cookies,
    host_name,
    identification,
    parse_form,
)
from manifest_auth.http.request import check_form_type
from manifest_auth.http.routes import query_values
from manifest_auth.pages import (
    brands,
    errors,
    flash,
    languages,
    multipart,
    rendering,
    security,
    step_up,
    submissions,
    words,
)
from manifest_auth.pages.account.frame import SAID
from manifest_auth.pages.call import SHOWN, Confirmation, Link, PageCall, View, found, see_other
from manifest_auth.pages.sign_in import step
from manifest_auth.pages.submissions import HeldForm, Kept
from manifest_auth.pages.words import FormExpired, NoFormCookie
from manifest_auth.permissions import Permission, permissions_of
from manifest_auth.runtime.settings import Settings
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import admin_sign_in
from manifest_auth.sign_in.return_addresses import ACCOUNT, is_own_page, is_own_path
from manifest_auth.store import StoreUnavailable
from manifest_auth.text import base64url
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import shown as translated
from manifest_auth.text.models import from_texts

Handler = Callable[[RequestContext, PageCall[Any]], Awaitable[View | Answer[None]]]
Confirms = Callable[[RequestContext, PageCall[Any]], Awaitable[Confirmation | None]]
MOST_FIELDS = 100
OF_APPS = "/o/"  # pages for the apps of one client, shown in its session
SIGN_IN = step.SIGN_IN
ADMIN_OVERVIEW = admin_console.PATH
ADMIN_SIGN_IN = f"{admin_console.PATH}/sign-in"
ADMIN_PROOF = f"{admin_console.PATH}{step_up.PATH}"
ADMIN_ACCOUNT = f"{admin_console.PATH}/account"
#: The only pages for a user who must first enroll a second factor. Forms that wait there have their own page.
_LIMITED = (ADMIN_ACCOUNT, ADMIN_PROOF, f"{ADMIN_OVERVIEW}/{step_up.RESUME}")
#: The template of the question before a major action, and its base templates by the prefix of the page's address.
CONFIRM, _ACCOUNT_FRAME = "confirm.html", "_account.html"
_FRAMES = {"/console": "_console.html", admin_console.PATH: "_installation.html"}
_CALL = "page"  # where a request stores its page and its call, for the error page
_ASKED = "asked"  # where it stores the path to re-authentication
_CONFIRMED, _YES = "confirmed", "yes"  # an extra field of a form after the page's question
_FORMS: dict[str, _Page] = {}  # pages that accept a form, by path
_SHOWN: dict[str, Handler] = {}  # handlers of the other pages, by path
#: Errors with their own page, because showing the form again wouldn't help. The same applies to a forged or old form,
#: for which no call is stored.
_NOT_AGAIN = (AccountDisabled, InternalError, LicenseExpired, LicenseRequired, NoFormCookie, NotFound)


class Audience(enum.Enum):
    """The people who can open a page. ``SIGNED_IN``, ``SYSTEM_ADMIN``: anyone else is redirected to sign in and
    back."""

    EVERYONE = "everyone"
    SIGNED_IN = "signed in"
    SYSTEM_ADMIN = "system admins"


@dataclass(slots=True, frozen=True)
class _Page:
    """A page. ``again``: shows a rejected form again; ``form_at``: the page that shows the form, or the link to a
    file."""

    method: str
    path: str
    show: Handler
    audience: Audience
    template: str
    fields: type[msgspec.Struct] | None
    permission: Permission | None
    again: Handler | None
    upload: str
    upload_into: str
    form_at: str
    said: Mapping[str, str]
    once: bool
    confirms: Confirms | None

    async def handle(self, ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
        head, settings = call.head, ctx.services.settings
        path = self.path.format_map(call.path)
        if (address := security.elsewhere(ctx, head, path, call.query)) is not None:
            if self.method != "GET":
                raise ValidationError(details=[("Host", "Pages work only at the public address")])
            return found(address)
        if head.authorization is not None:
            raise ValidationError(details=[("Authorization", "Pages accept only cookies")])
        ctx.client_header = None
        user, admin = None, None
        if self._is_of_the_installation:  # a user's session has no effect there
            admin = await _system_admin(ctx, head)
        elif self.path.startswith(OF_APPS):
            user = await identification.of_client(ctx, head, call.path["client"])
        else:
            user = await _signed_in(ctx, head)
        cookie = cookies.shown_form_cookie(head, settings)
        texts = {} if self.method != "GET" else query_values(call.query)
        query = call.query.decode("latin-1")
        page_call: PageCall[Any] = PageCall(
            head=head,
            fields=None,
            path=call.path,
            here=f"{path}?{query}" if query and self.method == "GET" else path,
            language=_language(head, settings, user, texts.get("lang", "")),
            form_cookie=cookie or cookies.new_form_cookie(ctx),
            user=user,
            admin=admin,
        )
        if self.method == "POST":
            security.check_posted_here(ctx, head)
            return await self._post(ctx, page_call, path, self._posted(page_call, call.body), has_cookie=bool(cookie))
        if (way := self._way_in(page_call, self._back(page_call))) is not None:
            return see_other(way)
        self._admit(ctx, page_call)
        if key := texts.get(SHOWN, ""):
            page_call.key, page_call.shown = key, await submissions.read_shown(ctx, page_call, key, path)
        if self.fields is not None:
            page_call.fields = from_texts(texts, self.fields)
        return await self._answer(ctx, page_call)

    async def _post(
        self, ctx: RequestContext, call: PageCall[Any], path: str, texts: dict[str, str], *, has_cookie: bool
    ) -> Answer[None]:
        """Carries out a form that this browser was shown on this page, in this session. A form of the same person from
        another session waits for a sign-in, or is shown again. Raises NoFormCookie, Forbidden, FormExpired."""
        token = await security.read_token(ctx, call, path, texts.pop(security.TOKEN_FIELD, ""))
        dismissed, here = texts.pop("dismiss", ""), texts.get("here", "")
        if self._way_in(call, "") is not None:
            is_of_browser = has_cookie and token is not None and token.is_of_browser(call, ctx.now)
            return await self._later(ctx, call, texts, token if is_of_browser else None)
        if not has_cookie:
            raise NoFormCookie(reason="no form cookie")
        if token is None or (token.person and call.person and token.person != call.person):
            raise Forbidden(reason="form token: missing, forged, or from a different page or user")
        is_of_this = token.is_of(call, ctx.now)
        if token.person != call.person and not is_of_this:  # someone signed in or out in the meantime
            return see_other(self._back(call))
        self._admit(ctx, call)
        if not is_of_this:
            raise self._expired(call, texts)
        if dismissed:
            if await submissions.read_shown(ctx, call, dismissed):
                await submissions.forget(ctx, dismissed)
            return see_other(here if is_own_page(here) else self._back(call))
        if not self.once or not (call.person or self._is_of_the_installation):  # the first one has no account yet
            return await self._carry_out(ctx, call, texts)
        return await self._submit(ctx, call, texts, token.key)

    def _admit(self, ctx: RequestContext, call: PageCall[Any]) -> None:
        """Checks the page's permission. Raises NotFound for a user without it. After this check, the page can be shown
        with an error."""
        if self.permission is not None and (
            call.user is None or self.permission not in permissions_of(call.user.roles)
        ):
            raise NotFound(reason=f"needs {self.permission.value}")
        ctx.loaded[_CALL] = (self, call)

    def _expired(self, call: PageCall[Any], texts: dict[str, str], said: str = words.EXPIRED) -> FormExpired:
        self._note_typed(call, texts)
        return FormExpired(said, reason="a form from a different session, too old, or without its secrets")

    def _note_typed(self, call: PageCall[Any], texts: dict[str, str]) -> None:
        call.fields = _as_typed(self.fields, texts) if self.fields is not None else None

    async def _later(
        self, ctx: RequestContext, call: PageCall[Any], texts: dict[str, str], token: security.FormToken | None
    ) -> Answer[None]:
        """Redirects to the sign-in. A form that was shown to a signed-in person waits for them. Nobody else leaves a
        row behind."""
        if token is None or not token.person or call.person:
            return see_other(self._way_in(call, self._back(call)) or "/")
        content = submissions.content_of(call, texts)
        kept = Kept(token.person, token.session, form=self._held(call, texts))
        for key in (token.key, f"{token.key}.{base64url.encode(content[:9])}"):
            answer = see_other(self._way_in(call, self._resuming(key)) or "/")
            if await submissions.put_by(ctx, key, content, answer, kept):
                break
            try:
                return await submissions.first_answer(ctx, call, key, content) or answer
            except FormExpired:  # it was sent before with different content, so this form waits separately
                continue
        return answer

    async def _submit(self, ctx: RequestContext, call: PageCall[Any], texts: dict[str, str], key: str) -> Answer[None]:
        """Carries a form out once; a repeat gets the first result. If re-authentication is required, the form waits for
        it."""
        content = submissions.content_of(call, texts)
        try:
            while not await submissions.claim(ctx, key, call.person):
                if (first := await submissions.first_answer(ctx, call, key, content)) is not None:
                    return first
        except Conflict:
            self._note_typed(call, texts)
            raise
        call.key = key
        try:
            return await self._carry_out_once(ctx, call, texts, content)
        except (StoreUnavailable, asyncio.CancelledError) as error:
            raise Conflict(words.UNKNOWN_RESULT, reason=f"a form might have been carried out: {error}") from error

    async def _carry_out_once(
        self, ctx: RequestContext, call: PageCall[Any], texts: dict[str, str], content: bytes
    ) -> Answer[None]:
        """Carries out a form once. Raises StoreUnavailable if it isn't certain that the form was carried out or that
        its result is stored."""
        key, session, kept = call.key, call.session_id, None
        try:
            answer = await self._carry_out(ctx, call, texts)
        except ReauthenticationRequired:
            back = self._resuming(key)
            answer = see_other(f"{ADMIN_PROOF}?returnTo={back}" if call.user is None else step_up.address(back))
            kept = Kept(call.person, session, form=self._held(call, texts))
            await submissions.finish(ctx, key, content, session, answer, kept)
            ctx.loaded[_ASKED] = answer
            raise
        except Refusal:
            await submissions.release(ctx, key)
            raise
        if answer.status != 303:  # a page that only shows something: nothing was done
            await submissions.release(ctx, key)
            return answer
        if call.shown:
            address = next(value for name, value in answer.headers if name == b"location").decode()
            kept = Kept(call.person, call.session_id, call.shown, address.partition("?")[0])
        await submissions.finish(ctx, key, content, session, answer, kept)
        return answer

    def _held(self, call: PageCall[Any], texts: dict[str, str]) -> HeldForm:
        """Returns the form to store, after checking that it has no more fields than the page's own form."""
        own = {each.encode_name for each in msgspec.structs.fields(self.fields)} if self.fields is not None else set()
        known = {name: text for name, text in texts.items() if name in own or name == _CONFIRMED}
        return HeldForm(self.path, call.path, known, call.upload).without_secrets()

    def _resuming(self, key: str) -> str:
        """Returns the address at which a waiting form continues."""
        return f"{ADMIN_OVERVIEW if self._is_of_the_installation else ACCOUNT}/{step_up.RESUME}?form={key}"

    async def resume(
        self, ctx: RequestContext, call: PageCall[Any], key: str, kept: Kept, *, edit: bool
    ) -> Answer[None]:
        """Continues with a form that waited, if the person can still send it. In the session that sent it, it is
        carried out, unless the person wants to ``edit`` it, which ends the waiting. In another session, or if another
        site led here, other than the provider of a re-authentication, the form is shown without its secrets for the
        person to send."""
        assert kept.form is not None
        call.path, call.upload = kept.form.names, kept.form.upload
        call.here = self._back(call)
        self._admit(ctx, call)
        if (way := self._way_in(call, call.here)) is not None:
            return see_other(way)
        if edit:
            await submissions.forget(ctx, key)
        is_same = kept.session == call.session_id
        is_asked = security.is_followed_here(ctx, call.head) or (call.user and "provider" in call.user.amr.split())
        if is_same and not edit and kept.form.is_whole and is_asked:
            answer = await self._submit(ctx, call, kept.form.fields, f"{key}-")
            if answer.status == 303:
                await submissions.forget(ctx, key)
            return answer
        refusal = self._expired(call, kept.form.fields, words.NOT_SAVED if is_same else words.EXPIRED)
        if self.again is None:
            raise refusal
        view = await self.again(ctx, call)
        return view if isinstance(view, Answer) else await self._render(ctx, call, view, None if edit else refusal)

    async def _carry_out(self, ctx: RequestContext, call: PageCall[Any], texts: dict[str, str]) -> Answer[None]:
        if self.fields is not None:
            call.fields = _as_typed(self.fields, texts)
            call.fields = _checked(texts, self.fields)
        if self.confirms is not None and (asked := await self.confirms(ctx, call)) is not None:
            said, wanted = texts.get(_CONFIRMED), asked.typed or _YES
            if said is None or said.strip() != wanted:
                return await self._ask(ctx, call, texts, asked, is_wrong=said is not None)
        return await self._answer(ctx, call)

    async def _ask(
        self, ctx: RequestContext, call: PageCall[Any], texts: dict[str, str], asked: Confirmation, *, is_wrong: bool
    ) -> Answer[None]:
        """Returns the page between a form and its action. Nothing is done yet. It posts the same form again, with the
        confirmation."""
        brand, action = brands.of_user(call.user), self.path.format_map(call.path)
        t, call.here = catalogue(call.language or brand.language), self._back(call)
        model = SimpleNamespace(
            frame=next((base for path, base in _FRAMES.items() if action.startswith(path)), _ACCOUNT_FRAME),
            title=translated(asked.title, t) % {"name": asked.name},
            effects=tuple(translated(effect, t) for effect in asked.effects),
            button=translated(asked.button, t),
            typed=asked.typed,
            action=action,
            back=call.here,
            fields=tuple((name, text) for name, text in texts.items() if name != _CONFIRMED),
        )
        wrong = _("Enter %(typed)s exactly as shown", typed=asked.typed)
        refusal = ValidationError(details=[(_CONFIRMED, wrong)]) if is_wrong else None
        return await rendering.render(ctx, call, View(model, 200, (), CONFIRM, brand), refusal)

    async def _answer(self, ctx: RequestContext, call: PageCall[Any]) -> Answer[None]:
        shown = await self.show(ctx, call)
        if isinstance(shown, Answer):
            shown.headers = (*shown.headers, *call.headers)
            return shown
        return await self._render(ctx, call, shown)

    @property
    def _is_of_the_installation(self) -> bool:
        return self.path.startswith(admin_console.PATH)

    def _way_in(self, call: PageCall[Any], back: str) -> str | None:
        """Returns the redirect for a caller who must not open the page yet; None if the caller can. ``back``: the
        return address."""
        if self.audience is Audience.SIGNED_IN and call.user is None:
            return f"{SIGN_IN}?returnTo={_quoted(back, is_own_path)}"
        if self.audience is Audience.SYSTEM_ADMIN:
            if call.admin is None:
                return f"{ADMIN_SIGN_IN}?returnTo={_quoted(back, is_own_page)}"
            if call.admin.limited and self.path not in _LIMITED:
                return ADMIN_ACCOUNT
        return None

    def _back(self, call: PageCall[Any]) -> str:
        return call.here if self.method == "GET" and self.form_at == self.path else self.form_at.format_map(call.path)

    def _posted(self, call: PageCall[Any], body: bytes) -> dict[str, str]:
        """Returns the fields of a form. Raises UnsupportedMediaType, PayloadTooLarge, ValidationError."""
        if self.upload and multipart.is_multipart(call.head):
            texts, call.upload = multipart.read(call.head, body, self.upload, MOST_FIELDS)
            if len(body) - len(call.upload) > AUTH_LIMIT:  # only the file can be larger
                raise PayloadTooLarge()
            if self.upload_into and call.upload:
                texts[self.upload_into] = multipart.as_text(call.upload)
            return texts
        check_form_type(call.head)
        if len(body) > AUTH_LIMIT:
            raise PayloadTooLarge()
        return parse_form(body, MOST_FIELDS)

    async def refused(self, ctx: RequestContext, refusal: Refusal, head: Head) -> Answer[None]:
        """Returns the same form with its errors if that helps, or a page that explains what happened."""
        page: _Page
        call: PageCall[Any] | None
        page, call = ctx.loaded.get(_CALL, (self, None))
        if page is not self:  # a form that continues here
            return await page.refused(ctx, refusal, head)
        if isinstance(refusal, ReauthenticationRequired) and call is not None:
            asked: Answer[None] | None = ctx.loaded.get(_ASKED)
            return asked or see_other(step_up.address(self._back(call)))
        if isinstance(refusal, InvalidToken) and self.audience is Audience.SYSTEM_ADMIN:  # signed out in the meantime
            return see_other(ADMIN_SIGN_IN)
        if isinstance(refusal, FormExpired) and self.again is None and call is not None:
            return see_other(self._back(call))
        if call is not None and isinstance(refusal, MfaRequired) and not self._is_of_the_installation:
            return await step.begin(ctx, refusal, call.form_cookie)
        if call is not None and self.again is not None and not isinstance(refusal, _NOT_AGAIN):
            try:
                view = await self.again(ctx, call)
            except (Refusal, StoreUnavailable):
                return await self._page_of(ctx, refusal, head, call)
            return view if isinstance(view, Answer) else await self._render(ctx, call, view, refusal)
        return await self._page_of(ctx, refusal, head, call)

    async def _page_of(
        self, ctx: RequestContext, refusal: Refusal, head: Head, call: PageCall[Any] | None = None
    ) -> Answer[None]:
        way = Link(admin_console.PATH, _("Go to the overview")) if self._is_of_the_installation else None
        if isinstance(refusal, AccountDisabled) and call is not None:
            way = await step.way_back(ctx, call)
        named = errors.parameters_of(self.fields) if self.method == "GET" else ()
        return await errors.page_of(ctx, refusal, head, way=way, parameters=named)

    async def _render(
        self, ctx: RequestContext, call: PageCall[Any], view: View, refusal: Refusal | None = None
    ) -> Answer[None]:
        view.template = view.template or self.template
        if self.said and self.method == "GET":
            call.said = flash.sentence(ctx, call, self.said)
        return await rendering.render(ctx, call, view, refusal)


def _as_typed(model: type[msgspec.Struct], texts: dict[str, str]) -> msgspec.Struct:
    """Returns the raw fields, for the form that shows them again if they are rejected."""
    named = msgspec.structs.fields(model)
    return model(**{each.name: texts[each.encode_name] for each in named if each.encode_name in texts})


def _checked(texts: dict[str, str], model: type[msgspec.Struct]) -> msgspec.Struct:
    """Returns the fields of a form as its model. Raises ValidationError with messages for people."""
    try:
        return from_texts(texts, model)
    except ValidationError as error:
        details = [(field, words.NOT_SO) for field, _said in error.details]
        raise ValidationError(details=details, reason=str(error.details)) from None


def _quoted(back: str, is_allowed: Callable[[str], bool]) -> str:
    """Returns ``back`` as a parameter, without its query if the browser must not return to that."""
    return quote(back if is_allowed(back) else back.partition("?")[0], safe="")


def _language(head: Head, settings: Settings, user: Principal | None, asked: str) -> str:
    if user is None:
        return languages.choose(head, settings, asked)
    return languages.choose(head, settings, asked, user.language) or tenants.settings_of(user.tenant_settings).language


async def _signed_in(ctx: RequestContext, head: Head) -> Principal | None:
    """Returns the user of the session cookie, who becomes the request's caller; or None."""
    try:
        user = await identification.by_cookie(ctx, head, ctx.now)
    except (Unauthenticated, InvalidToken, TokenExpired):
        return None
    ctx.caller, ctx.by_cookie = user, True
    return user


async def _system_admin(ctx: RequestContext, head: Head) -> AdminCaller | None:
    """Returns the system admin of the console's cookie, who becomes the request's caller; or None."""
    try:
        ctx.caller = await admin_sign_in.identify(
            ctx, head.cookie(host_name(admin_console.COOKIE, ctx.services.settings))
        )
    except (Unauthenticated, InvalidToken, TokenExpired):
        return None
    return ctx.caller


def page(
    method: str,
    path: str,
    show: Handler,
    template: str,
    summary: str,
    *,
    audience: Audience | None = None,
    permission: Permission | None = None,
    again: Handler | None = None,
    shows_again: bool = True,
    upload: str = "",
    upload_bytes: int = 0,
    upload_into: str = "",
    form_at: str = "",
    said: Mapping[str, str] = MappingProxyType({}),
    once: bool | None = None,
    confirms: Confirms | None = None,
) -> Route:
    """Creates a page's route. ``show``: returns the view, or another response, for a :class:`PageCall` of the model of
    its query or form; ``template``: the template that shows it; ``permission``: that of the signed-in users who can
    open it, all others get NotFound; ``audience``: that of a page without a permission, everyone by default; ``again``:
    for a POST, shows a rejected form again, usually the GET of its path, which is declared before it; nothing, unless
    ``shows_again``; ``upload``: the field of a form that can have a file, and its maximum bytes; ``upload_into``: the
    field that gets such a file as text; ``form_at``: the page that shows the form of a POST, or the link to a file, if
    that has another address; ``said``: sentences of :mod:`.flash` that a GET shows; ``once``: whether a signed-in
    person's form is carried out only once, by default for pages that are not for everyone; ``confirms``: returns the
    question before the action of a form, or None, and raises the same errors as the action for a caller who must not do
    it. If the fields of a GET can be None, it shows the form that a POST shows again with the entered values."""
    hints = list(get_type_hints(show).values())
    [fields] = get_args(hints[1])
    posts, audience = method == "POST", audience or (Audience.SIGNED_IN if permission else Audience.EVERYONE)
    _check_audience(path, audience, permission)
    own = _Page(
        method=method,
        path=path,
        show=show,
        audience=audience,
        template=template,
        fields=None if type(None) in (fields, *get_args(fields)) else fields,
        permission=permission,
        again=again or (_SHOWN.get(path) if posts and shows_again else None),
        upload=upload,
        upload_into=upload_into,
        form_at=form_at or path,
        said=said,
        once=audience is not Audience.EVERYONE if once is None else once,
        confirms=confirms,
    )
    if posts:
        _FORMS[path] = own
    else:
        _SHOWN[path] = show
    return Route(
        method,
        path,
        own.handle,
        Access.PAGE,
        summary,
        permission=permission,
        limit=AUTH_LIMIT + upload_bytes,
        raw=posts,
        refused=own.refused,
        form=own.fields if posts else None,
        template=template,
        audience=permission.value if permission else audience.value,
    )


#: Paths below the installation's address, with pages for people who have not signed in yet, or have signed out.
_BEFORE_SIGN_IN = tuple(f"{admin_console.PATH}/{name}" for name in ("sign-in", "sign-out", "setup"))


def _check_audience(path: str, audience: Audience, permission: Permission | None) -> None:
    """Raises TypeError if a page is for more people than its address allows, so that a typo doesn't open a page."""
    if path.startswith(admin_console.PATH) and not path.startswith(_BEFORE_SIGN_IN):
        is_right = audience is Audience.SYSTEM_ADMIN
    elif path.startswith("/console"):
        is_right = permission is not None
    else:
        is_right = audience is Audience.SIGNED_IN or not path.startswith("/account")
    if not is_right:
        raise TypeError(f"{path}: below this address, no page is for {audience.value}")


class ResumeQuery(msgspec.Struct, frozen=True):
    """The query that continues a form. ``form``: its key; ``edit``: the person wants to see it first."""

    form: Annotated[str, Meta(max_length=40)] = ""
    edit: Annotated[str, Meta(max_length=3)] = ""


async def resume(ctx: RequestContext, call: PageCall[ResumeQuery]) -> View | Answer[None]:
    """Continues with a form that waited for a sign-in or re-authentication. The key in the address is random and works
    only for the person who sent the form, so no other site can make a browser continue with one."""
    asked = call.fields
    kept = await submissions.read(ctx, call, asked.form, submissions.HELD_MS)
    if kept is None or kept.form is None:
        done = await submissions.result(ctx, call, f"{asked.form}-")
        return done or see_other(ACCOUNT if call.admin is None else ADMIN_OVERVIEW)
    return await _FORMS[kept.form.path].resume(ctx, call, asked.form, kept, edit=bool(asked.edit))


#: Pages of one audience, or of users with a permission.
account_page = partial(page, audience=Audience.SIGNED_IN, said=SAID)
admin_page = partial(page, audience=Audience.SYSTEM_ADMIN)
settings_page = partial(page, permission=Permission.SETTINGS_MANAGE)
users_page = partial(page, permission=Permission.USERS_MANAGE)
