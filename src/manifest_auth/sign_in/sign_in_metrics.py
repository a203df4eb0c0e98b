"""Metrics that count every attempt to sign in once, by method and result.

A malformed request is not an attempt: an invalid body or address, or a new password that the rules reject.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from manifest_auth.errors import (
    AccountDisabled,
    Forbidden,
    InvalidCredentials,
    InvalidToken,
    MfaRequired,
    Overloaded,
    ProviderUnavailable,
    RateLimited,
    SsoFailed,
    TokenExpired,
)
from manifest_auth.runtime.metrics import Result
from manifest_auth.services import RequestContext
from manifest_auth.store import StoreUnavailable

T = TypeVar("T")
P = ParamSpec("P")
_Step = Callable[Concatenate[RequestContext, P], Awaitable[T]]
_Counted = Callable[Concatenate[RequestContext, P], Coroutine[Any, Any, T]]

#: The reason of a refusal that requires the second factor, after the correct password.
NO_CODE = "no code"
_FAILED = (InvalidCredentials, MfaRequired, InvalidToken, TokenExpired, SsoFailed, ProviderUnavailable, Forbidden)
_RESULTS: tuple[tuple[tuple[type[Exception], ...], Result], ...] = (
    ((AccountDisabled,), "refused"),
    ((RateLimited,), "throttled"),
    ((Overloaded, StoreUnavailable), "busy"),
    (_FAILED, "failed"),
)


async def counted(
    ctx: RequestContext, method: str, work: Awaitable[T], result_of: Callable[[T], Result | None] = lambda _: "ok"
) -> T:
    """Returns the result of ``work``, after counting it. ``result_of`` returns the metric's label for a success, or
    None if it is not counted yet."""
    try:
        done = await work
    except Exception as error:
        if result := _result(error):
            ctx.services.metrics.signed_in(method, result)
        raise
    if result := result_of(done):
        ctx.services.metrics.signed_in(method, result)
    return done


def counts(method: str, success: Result = "ok") -> Callable[[_Step[P, T]], _Counted[P, T]]:
    """Decorates a function so that its calls are :func:`counted`."""

    def of(step: _Step[P, T]) -> _Counted[P, T]:
        @wraps(step)
        async def one(ctx: RequestContext, /, *given: P.args, **named: P.kwargs) -> T:
            return await counted(ctx, method, step(ctx, *given, **named), lambda _: success)

        return one

    return of


def counts_refreshes(step: _Step[P, T]) -> _Counted[P, T]:
    """Marks a function like :func:`counts`, for a refresh."""

    @wraps(step)
    async def one(ctx: RequestContext, /, *given: P.args, **named: P.kwargs) -> T:
        try:
            done = await step(ctx, *given, **named)
        except (InvalidToken, TokenExpired, Forbidden) as error:
            ctx.services.metrics.refreshed("reused" if error.replay else "refused")
            raise
        ctx.services.metrics.refreshed("ok")
        return done

    return one


def no_result_yet(_: object) -> None:
    """Returns no label, for a step after which a sign-in continues at the provider, so that only a failure is
    counted."""


def _result(error: Exception) -> Result | None:
    if isinstance(error, MfaRequired) and error.reason == NO_CODE:
        return "second_factor"
    return next((result for kinds, result in _RESULTS if isinstance(error, kinds)), None)
