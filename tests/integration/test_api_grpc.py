"""The look-up over gRPC: the answers of REST, its refusals as status codes, and nothing that bytes could break."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from api.app import create_app
from api.grpc import NAME, running_grpc
from api.grpc_messages import response_of
from data_contracts import recommendation_pb2 as pb
from data_contracts import recommendation_pb2_grpc as services
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Kind
from tests.day_world import ALICE, BOB, CAROL, CODES, DAVE, NOW, STRANGER, FakeStore

USERS = (ALICE, BOB, CAROL, DAVE, STRANGER)


def scene(folder: Path, act: Callable[[Any, Any], Awaitable[None]]) -> None:
    settings = Settings(
        data_dir=folder, auth="off", grpc_port=0, clickhouse_url="http://127.0.0.1:9", lookup_deadline_ms=5_000
    )

    async def play() -> None:
        async with (
            running_grpc(settings, store=FakeStore(), clock=lambda: NOW) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            await act(settings, channel)

    asyncio.run(play())


def test_a_thousand_requests_are_answered_as_over_rest(tmp_path: Path) -> None:
    draw = random.Random(5)

    async def act(settings: Settings, channel: Any) -> None:
        stub = services.RecommendationServiceStub(channel)
        app = create_app(
            settings.model_copy(update={"client_rate": 0, "user_rate": 0}), store=FakeStore(), clock=lambda: NOW
        )
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api") as client,
        ):
            for number in range(1_000):
                user_id = draw.choice(USERS) if number % 2 else 10_000 + number
                where, kind, locale = draw.choice(list(Channel)), draw.choice(list(Kind)), draw.choice(["en", "ru"])
                top_k, exclude = draw.randint(1, 12), draw.sample(list(CODES), draw.randint(0, 3))
                params = {"user_id": user_id, "channel": where, "kind": kind, "locale": locale, "top_k": top_k}
                rest = await client.get("/api/v1/recommendations", params={**params, "exclude": exclude})
                assert rest.status_code == 200, rest.text
                request = pb.RecommendRequest(
                    user_id=user_id,
                    channel=pb.Channel.Value(f"CHANNEL_{where.upper()}"),
                    kind=pb.Kind.Value(f"KIND_{kind.upper()}"),
                    locale=pb.Locale.Value(f"LOCALE_{locale.upper()}"),
                    top_k=top_k,
                    exclude=exclude,
                )
                assert await stub.GetRecommendations(request) == response_of(rest.json())

    scene(tmp_path, act)


def test_feedback_is_taken_once_and_refusals_are_status_codes(tmp_path: Path) -> None:
    async def act(_: Settings, channel: Any) -> None:
        stub = services.RecommendationServiceStub(channel)
        answer = await stub.Recommend(pb.RecommendRequest(user_id=ALICE, channel=pb.CHANNEL_WEB))
        given = pb.FeedbackRequest(
            rec_id=answer.rec_id,
            user_id=ALICE,
            event_type=pb.FEEDBACK_TYPE_CLICK,
            timestamp=answer.timestamp,
            attributes={"product_id": "card_gold", "position": "2"},
        )
        acks = [await stub.SendFeedback(given) for _ in range(2)]
        assert acks[0] == acks[1]
        assert (acks[0].status, acks[0].is_expired) == ("accepted", False)
        given.user_id = BOB
        for call, request in (
            (stub.SendFeedback, given),
            (stub.SendFeedback, pb.FeedbackRequest()),
            (stub.Recommend, pb.RecommendRequest(user_id=ALICE)),
            (stub.Recommend, pb.RecommendRequest(user_id=-1, channel=pb.CHANNEL_WEB)),
            (stub.Recommend, pb.RecommendRequest(user_id=1, channel=77)),
            (stub.Recommend, pb.RecommendRequest(user_id=1, channel=pb.CHANNEL_WEB, top_k=101)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(request)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    scene(tmp_path, act)


def test_random_bytes_break_nothing_and_health_answers_after_them(tmp_path: Path) -> None:
    draw = random.Random(7)
    whole = pb.FeedbackRequest(rec_id="x", user_id=1, attributes={"a": "b"}).SerializeToString()

    async def act(_: Settings, channel: Any) -> None:
        for number in range(400):
            method = ("GetRecommendations", "SendFeedback")[number % 2]
            body = bytearray(whole if number % 3 else draw.randbytes(draw.randint(0, 60)))
            if body and number % 3 == 1:
                body[draw.randrange(len(body))] = draw.randrange(256)
            call = channel.unary_unary(f"/{NAME}/{method}", request_serializer=bytes, response_deserializer=bytes)
            try:
                await call(bytes(body))
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
        checked = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=NAME))
        assert checked.status == health_pb2.HealthCheckResponse.SERVING

    scene(tmp_path, act)


def test_without_a_token_nobody_is_answered(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, auth="on", grpc_port=0, clickhouse_url="http://127.0.0.1:9")

    async def play() -> None:
        async with (
            running_grpc(settings, store=FakeStore(), clock=lambda: NOW) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await services.RecommendationServiceStub(channel).Recommend(
                    pb.RecommendRequest(user_id=1, channel=pb.CHANNEL_WEB)
                )
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED

    asyncio.run(play())
