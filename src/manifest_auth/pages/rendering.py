"""Rendering of templates to bytes.

Jinja2, the catalogs and each template are loaded in a thread with the first page that needs them, so neither startup
nor another request waits.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

from manifest_auth.accounts import users
from manifest_auth.errors import Refusal
from manifest_auth.http import NO_STORE, Answer, Header, cookies, public_origin, refusal_headers
from manifest_auth.http.answers import HTML
from manifest_auth.pages import asset_files, brands, charts, languages, security, words
from manifest_auth.pages.account import frame as words_of_account
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.charts import Chart
from manifest_auth.pages.console.frame import entries, section_of
from manifest_auth.permissions import Role, role_names
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor.enrollment import TotpSecretData
from manifest_auth.text import fields, scan_codes
from manifest_auth.text.languages import MarkedText, catalogue, shown
from manifest_auth.text.languages import marked as _
from manifest_auth.text.user_agents import browser_of

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from markupsafe import Markup


_KEPT = 4096  # more than all pages together
_GROUPS = {"de": ".", "es": ".", "pt": ".", "fr": "\u202f"}


class Translate(Protocol):
    def __call__(self, message: str, /, **values: object) -> Markup: ...


class TranslateMany(Protocol):
    def __call__(self, singular: str, plural: str, count: int, /, **values: object) -> Markup: ...


@cache
def translations(language: str) -> tuple[Translate, TranslateMany]:
    """Returns ``_`` and ``ngettext`` of the language. Messages are constants and can contain markup; values are
    escaped. ``%(num)s`` is the count."""
    from markupsafe import Markup

    t = catalogue(language)

    @lru_cache(_KEPT)
    def constant(message: str) -> Markup:
        return Markup(t.gettext(message)) % {}  # noqa: S704 - a message of the catalogue

    def one(message: str, /, **values: object) -> Markup:
        if isinstance(message, MarkedText) and not values:
            return Markup.escape(shown(message, t))
        return Markup(t.gettext(message)) % spoken(values) if values else constant(message)  # noqa: S704 - as above

    def several(singular: str, plural: str, count: int, /, **values: object) -> Markup:
        said = spoken({"num": count, **values})
        return Markup(t.ngettext(singular, plural, count)) % said  # noqa: S704 - as above

    def spoken(values: dict[str, object]) -> dict[str, object]:
        return {name: shown(one, t) if isinstance(one, MarkedText) else one for name, one in values.items()}

    return one, several


TEMPLATES = Path(__file__).parent / "templates"


_lock = threading.Lock()
_environment: Environment | None = None
_templates: dict[tuple[str, str], Template] = {}


async def render(
    ctx: RequestContext, call: PageCall[Any], view: View, refusal: Refusal | None = None, *, forms: bool = True
) -> Answer[None]:
    """Renders a page. ``refusal``: why its form is shown again. ``forms``: False for a page that must work without the
    database."""
    settings = ctx.services.settings
    language = call.language or view.brand.language
    template = await prepare(view.template, language)
    headers: list[Header] = [HTML, NO_STORE, *call.headers, *view.headers]
    status = view.status
    if forms:
        await ctx.services.keys.ensure_current()
        headers.append(cookies.form_cookie_line(call.form_cookie, settings))
    if refusal is not None:
        status = refusal.status
        headers.extend(refusal_headers(refusal))
    t = catalogue(language)
    one, several = translations(language)
    brand = await brands.with_logo(ctx, view.brand)
    text = template.render(
        view=view.model,
        brand=brand,
        user=None if call.user is None else SimpleNamespace(email=call.user.email, console=entries(call.user.roles)),
        admin=None if call.admin is None else SimpleNamespace(username=call.admin.username, limited=call.admin.limited),
        refused=None if refusal is None else words.refused(ctx, refusal, t),
        labels={},
        modules={},
        _=one,
        ngettext=several,
        lang=language,
        languages=languages.LANGUAGES if forms else {},
        here=call.here,
        said=call.said,
        shown_key=call.key,
        mails=ctx.services.mail.is_set_up,
        request_id=ctx.request_id,
        origin=public_origin(settings),
        token_for=lambda path: security.token_for(ctx, call, path),
    )
    return Answer(status, text.encode(), headers, security=security.headers(settings))


async def prepare(name: str, language: str) -> Template:
    """Returns the compiled template, with the language's catalog loaded."""
    found = _templates.get((name, language))
    return await asyncio.to_thread(_load, name, language) if found is None else found


def _load(name: str, language: str) -> Template:
    global _environment
    with _lock:
        catalogue(language)
        if _environment is None:
            _environment = environment()
            for shared in sorted(TEMPLATES.glob("_*.html")):
                _environment.get_template(shared.name)
        template = _environment.get_template(name)
        _templates[name, language] = template
        gc.freeze()  # it lives as long as the process, so the collector needn't scan it
    return template


def environment() -> Environment:
    """Creates the environment. It escapes everywhere, and treats a name that a view doesn't have as a bug, not as empty
    text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, nodes, pass_context
    from jinja2.compiler import CodeGenerator
    from jinja2.environment import TemplateModule
    from markupsafe import Markup, escape

    class Generator(CodeGenerator):
        """Writes what ``finalize`` returns, which is escaped, and calls ``_`` directly."""

        def _output_child_pre(self, node: object, frame: object, finalize: Any) -> None:
            self.write(finalize.src)

        def _output_child_post(self, node: object, frame: object, finalize: object) -> None:
            self.write(")")

        def visit_Call(self, node: nodes.Call, frame: Any, *more: Any, **named: Any) -> None:  # noqa: N802 - Jinja's
            if isinstance(node.node, nodes.Name) and node.node.name == "_":
                self.write(f"{frame.symbols.ref('_')}(")
                for part in (*node.args, *node.kwargs):
                    self.visit(part, frame)
                    self.write(", ")
                self.write(")")
            else:
                super().visit_Call(node, frame, *more, **named)

    class OfPage(Template):
        """A template whose macros are created once per page, however many of the page's templates import them. So they
        can't use what a template sets."""

        def make_module(self, *given: Any, **named: Any) -> TemplateModule:
            made: dict[str | None, TemplateModule] = given[0]["modules"]
            if self.name not in made:
                made[self.name] = super().make_module(*given, **named)
            return made[self.name]

    @pass_context
    def drawn(context: Mapping[str, Any], chart: Chart) -> tuple[Markup, Markup]:
        """Returns the SVG and the table rows of a chart."""
        language = context["lang"]
        svg, rows = charts.drawn(chart, catalogue(language), partial(_grouped, language))
        return Markup(svg), Markup(rows)  # noqa: S704 - numbers, and texts that are escaped

    @pass_context
    def written(context: Mapping[str, Any], value: object) -> str:
        """Returns a value as HTML. Texts that the code marks for the catalogs are in the language of the page."""
        if type(value) is Markup:
            return value
        if isinstance(value, MarkedText):
            value = shown(value, catalogue(context.get("lang", "en")))
        return escape(value)

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=written,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.code_generator_class, made.template_class = Generator, OfPage
    made.globals["asset"] = asset_files.address
    made.globals["section_of"] = section_of
    made.globals["fields"] = fields
    made.globals["user_details"] = users.DETAILS
    made.tests["marked"] = lambda value: isinstance(value, MarkedText)
    made.filters["browser_names"] = browser_of
    made.filters["method"] = words_of_account.method
    made.filters["ways"] = words_of_account.ways
    made.filters["role_names"] = role_names
    made.filters["role_words"] = lambda name: words_of_account.ROLES[Role(name)]
    made.filters["told"] = pass_context(lambda context, event: event.parts(catalogue(context.get("lang", "en"))))
    made.filters["number"] = pass_context(lambda context, number: _grouped(context.get("lang", "en"), number))
    made.filters["drawn"] = drawn
    made.filters["iso"] = _in("%Y-%m-%dT%H:%M:%SZ")
    made.filters["utc"] = _in("%Y-%m-%d %H:%M UTC")
    made.filters["utc_time"] = _in("%H:%M:%S UTC")
    return made


def _grouped(language: str, number: int) -> str:
    """Returns a number with the thousands separators of the language."""
    return str(number) if -1000 < number < 1000 else f"{number:,}".replace(",", _GROUPS.get(language, ","))


def _in(form: str) -> Callable[[int | str], str]:
    """Returns a filter that writes a time in this form. It takes milliseconds, or the text of a read model."""

    def shown(time: int | str) -> str:
        at = datetime.fromtimestamp(time / 1000, UTC) if isinstance(time, int) else datetime.fromisoformat(time)
        return at.strftime(form)

    return shown


async def qr_code(text: str, title: str, language: str) -> Markup:
    """Returns a QR code of ``text``, for a template to insert. ``title``: its accessible name, a message of the
    catalog. Raises ValueError for more than 2,953 bytes."""
    drawn = await scan_codes.qr_svg(text, catalogue(language or "en").gettext(title))
    from markupsafe import Markup  # not at startup: see rendering

    return Markup(drawn)  # noqa: S704 - modules as numbers, and a title that is escaped


KEY_TITLE = _("QR code with the key for your authenticator app")


async def app_key(secret: str, uri: str, language: str) -> TotpSecretData:
    """Returns the key in its three forms, ``qr`` as markup. ``secret``: base32; ``uri``: its ``otpauth://`` address."""
    return TotpSecretData(secret, uri, await qr_code(uri, KEY_TITLE, language))
