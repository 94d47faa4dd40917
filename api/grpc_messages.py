"""Protobuf to questions, and answers to Protobuf. Pure; what is right and wrong is said by `models`, as for REST."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ValidationError

from api.answers import Answer
from api.models import Feedback, OneAsked, named
from api.refusals import InvalidError
from data_contracts import recommendation_pb2 as pb
from data_contracts.vocabulary import Family, Kind, Tier, Variant

Model = TypeVar("Model", bound=BaseModel)


def asked_of(request: pb.RecommendRequest) -> OneAsked:
    """Raises InvalidError naming the field."""
    given = {
        "user_id": request.user_id,
        "channel": _word(pb.Channel, request.channel),
        "top_k": request.top_k if request.HasField("top_k") else None,
        "kind": _word(pb.Kind, request.kind),
        "locale": _word(pb.Locale, request.locale),
        "families": [_word(pb.Family, family) or "unspecified" for family in request.families],
        "exclude": list(request.exclude),
        "context": _context(request) if request.HasField("context") else None,
    }
    return _valid(OneAsked, {name: value for name, value in given.items() if value is not None})


def _context(request: pb.RecommendRequest) -> dict[str, Any]:
    """What is empty was not given."""
    context = request.context
    given = {
        "screen": context.screen,
        "placement": context.placement,
        "search": context.search,
        "cart": list(context.cart),
        "basket_product": context.basket_product,
    }
    return {name: value for name, value in given.items() if value}


def feedback_of(request: pb.FeedbackRequest) -> Feedback:
    """Raises InvalidError naming the field."""
    return _valid(
        Feedback,
        {
            "rec_id": request.rec_id,
            "user_id": request.user_id,
            "event_type": _word(pb.FeedbackType, request.event_type),
            "timestamp": _moment(request),
            "context": dict(request.attributes),
        },
    )


def response_of(answer: Answer) -> pb.RecommendResponse:
    at = Timestamp()
    at.FromDatetime(datetime.fromisoformat(answer["timestamp"]))
    return pb.RecommendResponse(
        rec_id=answer["rec_id"],
        user_id=int(answer["user_id"]),
        timestamp=at,
        snapshot_id=answer["snapshot_id"],
        snapshot_age_s=answer["snapshot_age_s"],
        tier=_TIERS[answer["tier"]],
        variant=_VARIANTS[answer["variant"]],
        experiment=pb.Experiment(**answer["experiment"]) if answer["experiment"] else None,
        policy_hash=answer["policy_hash"],
        recommendations=[_item(item) for item in answer["recommendations"]],
    )


def _item(item: Any) -> pb.Recommendation:
    return pb.Recommendation(
        product_id=item["product_id"],
        product_name=item["product_name"],
        kind=_KINDS[item["kind"]],
        family=_FAMILIES[item["family"]] if item["family"] else None,
        score=item["score"],
        tier=_TIERS[item["tier"]],
        reasons=[pb.Reason(code=reason["code"], text=reason["text"]) for reason in item["reasons"]],
    )


def _numbers(enum: Any, words: Iterable[StrEnum]) -> dict[str, Any]:
    return {word.value: enum.Value(f"{_prefix(enum)}{word.name}") for word in words}


def _prefix(enum: Any) -> str:
    return str(enum.Name(0)).removesuffix("UNSPECIFIED")


def _word(enum: Any, number: int) -> str | None:
    """Our word of an enum's number; None where it is unspecified, and a word that nobody knows for a new number."""
    if number == 0:
        return None
    try:
        return str(enum.Name(number)).removeprefix(_prefix(enum)).lower()
    except ValueError:
        return f"unknown {number}"


def _moment(request: pb.FeedbackRequest) -> str:
    try:
        return str(request.timestamp.ToJsonString()) if request.HasField("timestamp") else ""
    except ValueError as error:
        raise InvalidError("timestamp: no moment of the years 1 to 9999", field="timestamp") from error


def _valid(model: type[Model], given: dict[str, Any]) -> Model:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = [(named(one["loc"]), one["msg"].removeprefix("Value error, ")) for one in error.errors()]
        told = "; ".join(f"{field}: {message}" for field, message in found)
        raise InvalidError(told, field=found[0][0]) from error


_TIERS, _VARIANTS = _numbers(pb.Tier, Tier), _numbers(pb.Variant, Variant)
_KINDS, _FAMILIES = _numbers(pb.Kind, Kind), _numbers(pb.Family, Family)
