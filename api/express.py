"""The look-up's short way: a plain query string is read here, without FastAPI's reading of it: half the time of a full
service's request. What is odd in any way takes the long way, which alone says what is wrong.
"""

from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.layout import Question
from api.models import LARGEST_USER_ID, Locale, OneAsked
from api.responses import json_response
from api.security import Scope, admitted
from api.service import question_of
from data_contracts.vocabulary import Channel, Kind

Reading = Callable[[str | None], Any]
_LONGEST, _LONGEST_NUMBER = 500, 19


class ExpressRoute(APIRoute):
    """Of a GET, which is a look-up of one user; other calls go the long way."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        whole = super().get_route_handler()

        async def handler(request: Request) -> Response:
            asked = plain(request.scope["query_string"]) if request.method == "GET" else None
            if asked is None:
                return await whole(request)
            question, locale = asked
            user_id = str(question.user_id)
            await admitted(request, Scope.RECOMMENDATIONS_READ, channel=question.channel, user_id=user_id)
            return json_response(await request.app.state.service.answer(question, locale=locale))

        return handler


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
    return question_of(read["user_id"], OneAsked.model_construct(**read)), read["locale"]


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
    "top_k": _number(1, 100, default=10),
    "locale": _choice(Locale, default=Locale.EN),
}
