"""Asks the running API for a user's recommendations, as an app would."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from data_contracts.errors import InputError, UnavailableError
from data_contracts.settings import Settings
from infra.tokens import own_token

_TIMEOUT_SECONDS = 5


def ask(settings: Settings, user_id: str, **query: str | int) -> dict[str, Any]:
    """The API's answer. Raises InputError when it refuses the question, UnavailableError when nobody answers."""
    parameters = urllib.parse.urlencode({"user_id": user_id, **query})
    url = f"http://127.0.0.1:{settings.api_port}/api/v1/recommendations?{parameters}"
    token = own_token(settings)
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own API, by http
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.UNAUTHORIZED:
            raise InputError(
                f"the API did not take the token ({detail_of(error.read())}): "
                "name the stack's --data-dir, where its issuer is, or set RECS_TOKEN"
            ) from error
        raise InputError(f"the API refused the question: {detail_of(error.read())}") from error
    except OSError as error:
        raise UnavailableError(
            f"no API at port {settings.api_port}: start it with recs up, or set RECS_API_PORT"
        ) from error


def answer_rows(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row an item, best first, for a table."""
    return [
        {
            "#": position,
            "item": item["product_id"],
            "name": item["product_name"],
            "family": item.get("family") or "",
            "score": "" if item["score"] is None else f"{item['score']:.4f}",
            "why": "; ".join(reason["text"] for reason in item["reasons"]),
        }
        for position, item in enumerate(answer["recommendations"], start=1)
    ]


def answer_title(answer: Mapping[str, Any]) -> str:
    """Where the answer came from, in one line."""
    age = answer["snapshot_age_s"]
    old = "" if age is None else f", {age / 3600:.1f} h old"
    return f"user {answer['user_id']}: tier {answer['tier']}, snapshot {answer['snapshot_id'] or 'none'}{old}"


def detail_of(body: bytes) -> str:
    """What a problem document says."""
    try:
        problem = json.loads(body)
        return str(problem.get("detail") or problem.get("title") or problem)
    except ValueError:
        return body.decode(errors="replace")[:300]
