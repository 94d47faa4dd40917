"""The API's Protobuf: its code is what protoc makes of it, it says what REST says, and it keeps its promises."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from pydantic import BaseModel

from api.models import Locale, Reason, Recommendation, Recommendations
from data_contracts import recommendation_pb2
from data_contracts.proto_changes import breaking_changes
from data_contracts.vocabulary import Channel, Family, Kind, Tier, Variant
from infra.proto import ROOT, generate, released

GENERATED = ("recommendation_pb2.py", "recommendation_pb2.pyi", "recommendation_pb2_grpc.py")


def now() -> FileDescriptorProto:
    described = FileDescriptorProto()
    recommendation_pb2.DESCRIPTOR.CopyToProto(described)
    return described


def test_generating_again_gives_the_same_bytes(tmp_path: Path) -> None:
    generate(tmp_path)
    for name in GENERATED:
        assert (tmp_path / "data_contracts" / name).read_bytes() == (ROOT / "data_contracts" / name).read_bytes()


def test_what_was_released_still_holds() -> None:
    assert breaking_changes(released(), now()) == []


@pytest.mark.parametrize("words", [Channel, Kind, Locale, Tier, Variant, Family])
def test_an_enum_has_a_word_for_each_of_ours(words: type[StrEnum]) -> None:
    name = words.__name__
    values = [value.name for value in recommendation_pb2.DESCRIPTOR.enum_types_by_name[name].values]
    assert values == [f"{name.upper()}_{word}" for word in ("UNSPECIFIED", *(word.value.upper() for word in words))]


@pytest.mark.parametrize(
    ("message", "model"),
    [("RecommendResponse", Recommendations), ("Recommendation", Recommendation), ("Reason", Reason)],
)
def test_a_message_has_the_fields_of_the_rest_api(message: str, model: type[BaseModel]) -> None:
    fields = recommendation_pb2.DESCRIPTOR.message_types_by_name[message].fields
    assert [field.name for field in fields] == list(model.model_fields)


def field_of(described: FileDescriptorProto, message: str, name: str) -> FieldDescriptorProto:
    (found,) = [one for one in described.message_type if one.name == message]
    return next(one for one in found.field if one.name == name)


def remove_field(one: FileDescriptorProto) -> None:
    del one.message_type[0].field[0]


def renumber(one: FileDescriptorProto) -> None:
    field_of(one, "RecommendRequest", "channel").number = 9


def rename(one: FileDescriptorProto) -> None:
    field_of(one, "RecommendResponse", "rec_id").name = "answer_id"


def retype(one: FileDescriptorProto) -> None:
    field_of(one, "RecommendResponse", "user_id").type = FieldDescriptorProto.TYPE_STRING


def lose_presence(one: FileDescriptorProto) -> None:
    field_of(one, "Recommendation", "score").proto3_optional = False


def renumber_word(one: FileDescriptorProto) -> None:
    one.enum_type[0].value[1].number = 7


def remove_method(one: FileDescriptorProto) -> None:
    del one.service[0].method[0]


def stream(one: FileDescriptorProto) -> None:
    one.service[0].method[0].server_streaming = True


def move(one: FileDescriptorProto) -> None:
    one.package = "recs.v2"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (remove_field, "RecommendRequest.user_id = 1 is gone"),
        (renumber, "RecommendRequest.channel = 2 is gone"),
        (rename, "RecommendResponse.rec_id = 1 is called answer_id"),
        (retype, "RecommendResponse.user_id = 2 has another type"),
        (lose_presence, "Recommendation.score = 5 has another type"),
        (renumber_word, "Channel.CHANNEL_MOBILE = 1 is 7"),
        (remove_method, "RecommendationService.Recommend is gone"),
        (stream, "RecommendationService.Recommend has another signature"),
        (move, "package recs.v1 is called recs.v2"),
    ],
)
def test_a_change_that_breaks_clients_is_named(change: Callable[[FileDescriptorProto], None], told: str) -> None:
    changed = now()
    change(changed)
    assert breaking_changes(now(), changed) == [told]


def test_additions_break_nobody() -> None:
    more = now()
    more.message_type[0].field.add(name="placement", number=20, type=FieldDescriptorProto.TYPE_STRING)
    more.enum_type[0].value.add(name="CHANNEL_BRANCH", number=4)
    more.message_type.add(name="BatchRequest")
    assert breaking_changes(now(), more) == []
