"""The look-up's short way: a plain query string is read here, without FastAPI's routing and reading, which are more
than half the time of a full service's request. What is odd in any way goes on to it, which alone says what is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request, Response

from api.edge import Application, Message, Receive, Send
from api.layout import Question
from api.models import LARGEST_USER_ID, MOST_ITEMS, USUAL_ITEMS, Locale
from api.problems import refusal
from api.responses import json_response
from api.security import Refused, Scope, admitted
from data_contracts.vocabulary import Channel, Kind

Reading = Callable[[str | None], Any]
_LONGEST, _LONGEST_NUMBER = 500, 19


class Express:
    """Around the application, inside of `edge`."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        is_lookup = scope["type"] == "http" and scope["path"] == _LOOKUP.path and scope["method"] == "GET"
        asked = plain(scope["query_string"]) if is_lookup else None
        if asked is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = _LOOKUP
        response = await _answered(Request(scope), *asked)
        await response(scope, receive, send)


async def _answered(request: Request, question: Question, locale: Locale) -> Response:
    user_id = str(question.user_id)
    try:
        await admitted(request, Scope.RECOMMENDATIONS_READ, channel=question.channel, user_id=user_id)
    except Refused as refused:
        return refusal(request, refused)
    return json_response(await request.app.state.service.answer(question, locale=locale))


@dataclass(frozen=True)
class _Route:
    """What metrics and traces are told."""

    path: str


_LOOKUP = _Route("/api/v1/recommendations")


def plain(query: bytes) -> tuple[Question, Locale] | None:
    """What is asked for; None for whatever is not as simple as can be, right or wrong."""
    if len(query) > _LONGEST or not query.isascii():
        return None
    given = parse_qsl(query.decode(), keep_blank_values=True)
    asked = dict(given)
    if len(asked) != len(given) or not asked.keys() <= _READ.keys():
        return None
    try:
        read = {name: reading(asked.get(name)) for name, reading in _READ.items()}
    except ValueError:
        return None
    return Question(read["user_id"], read["channel"], read["kind"], read["top_k"]), read["locale"]


def _number(least: int, most: int, *, default: int | None = None) -> Reading:
    def number(text: str | None) -> int:
        if text is None and default is not None:
            return default
        is_number = text is not None and text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER
        if text is None or not is_number or not least <= int(text) <= most:
            raise ValueError
        return int(text)

    return number


def _choice(words: type[StrEnum], *, default: StrEnum | None = None) -> Reading:
    known = {word.value: word for word in words}

    def choice(text: str | None) -> StrEnum:
        found = default if text is None else known.get(text)
        if found is None:
            raise ValueError
        return found

    return choice


_READ: dict[str, Reading] = {
    "user_id": _number(0, LARGEST_USER_ID),
    "channel": _choice(Channel),
    "kind": _choice(Kind, default=Kind.PRODUCT),
    "top_k": _number(1, MOST_ITEMS, default=USUAL_ITEMS),
    "locale": _choice(Locale, default=Locale.EN),
}
