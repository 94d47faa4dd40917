"""The look-up over gRPC: the answers of REST, its refusals as status codes, and nothing that bytes could break."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api import metrics
from api.app import create_app
from api.grpc import NAME, running_grpc, told_metrics
from api.grpc_messages import response_of
from api.traces import Traces
from data_contracts import recommendation_pb2 as pb
from data_contracts import recommendation_pb2_grpc as services
from data_contracts.rec_id import RecId
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Kind, Placement, Scope, Screen
from infra.local.embedded import free_port
from infra.tokens import ensure_issuer, issue
from tests.day_world import ALICE, BOB, CAROL, CODES, DAVE, NOW, STRANGER, FakeStore
from tests.experiment_samples import folder_of

USERS = (ALICE, BOB, CAROL, DAVE, STRANGER)


ASKED = pb.RecommendRequest(user_id=ALICE, channel=pb.CHANNEL_WEB)


def scene(
    folder: Path,
    act: Callable[[Any, Any], Awaitable[None]],
    *,
    store: FakeStore | None = None,
    traces: Traces | None = None,
    **given: Any,
) -> None:
    settings = Settings(
        data_dir=folder,
        grpc_port=0,
        clickhouse_url="http://127.0.0.1:9",
        **{"auth": "off", "lookup_deadline_ms": 5_000, **given},
    )

    async def play() -> None:
        async with (
            running_grpc(settings, store=store or FakeStore(), clock=lambda: NOW, traces=traces) as port,
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
                where, kind, locale = draw.choice(list(Channel)), draw.choice(["", *Kind]), draw.choice(["en", "ru"])
                top_k, exclude = draw.randint(1, 12), draw.sample(list(CODES), draw.randint(0, 3))
                context = {
                    "screen": draw.choice(["", *Screen]),
                    "placement": draw.choice(["", *Placement]),
                    "search": draw.choice(["", "travel card", "вклад", "nothing that we sell"]),
                    "cart": draw.sample([*CODES, "unknown"], draw.randint(0, 2)),
                    "basket_product": draw.choice(["", "loan_cash", "mortgage_new"]),
                }
                said = {f"context.{name}": value for name, value in context.items() if value}
                params = {"user_id": user_id, "channel": where, "locale": locale, "top_k": top_k, **said}
                params |= {"kind": kind} if kind else {}
                rest = await client.get("/api/v1/recommendations", params={**params, "exclude": exclude})
                assert rest.status_code == 200, rest.text
                request = pb.RecommendRequest(
                    user_id=user_id,
                    channel=pb.Channel.Value(f"CHANNEL_{where.upper()}"),
                    kind=pb.Kind.Value(f"KIND_{kind.upper() or 'UNSPECIFIED'}"),
                    locale=pb.Locale.Value(f"LOCALE_{locale.upper()}"),
                    top_k=top_k,
                    exclude=exclude,
                    context=context,
                )
                assert await stub.GetRecommendations(request) == response_of(rest.json())

    running = folder_of(tmp_path / "experiments", {"layer": "a", "kinds": ["product"]})
    scene(tmp_path, act, experiments=running, exploration_share=0.2)


def test_where_no_feedback_is_taken_it_is_an_unimplemented_call_with_advice(tmp_path: Path) -> None:
    async def act(_: Settings, channel: Any) -> None:
        stub = services.RecommendationServiceStub(channel)
        answer = await stub.Recommend(ASKED)
        given = pb.FeedbackRequest(
            rec_id=answer.rec_id, user_id=ALICE, event_type=pb.FEEDBACK_TYPE_CLICK, timestamp=answer.timestamp
        )
        with pytest.raises(grpc.aio.AioRpcError, match="send it to the service") as refused:
            await stub.SendFeedback(given)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED

    scene(tmp_path, act, feedback="off")


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
        given.idempotency_key = "k"
        await stub.SendFeedback(given)
        with pytest.raises(grpc.aio.AioRpcError, match="Idempotency-Key"):
            given.attributes["position"] = "3"
            await stub.SendFeedback(given)
        given.user_id = BOB
        for call, request in (
            (stub.SendFeedback, given),
            (stub.SendFeedback, pb.FeedbackRequest()),
            (stub.Recommend, pb.RecommendRequest(user_id=ALICE)),
            (stub.Recommend, pb.RecommendRequest(user_id=-1, channel=pb.CHANNEL_WEB)),
            (stub.Recommend, pb.RecommendRequest(user_id=1, channel=77)),
            (stub.Recommend, pb.RecommendRequest(user_id=1, channel=pb.CHANNEL_WEB, top_k=101)),
            (stub.Recommend, pb.RecommendRequest(user_id=1, channel=pb.CHANNEL_WEB, context={"screen": "cellar"})),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(request)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    scene(tmp_path, act)


def test_random_bytes_break_nothing_and_health_answers_after_them(tmp_path: Path) -> None:
    draw = random.Random(7)
    context = pb.Context(screen="home", search="a card", cart=["offer_a"])
    whole = {
        "GetRecommendations": pb.RecommendRequest(user_id=1, channel=pb.CHANNEL_WEB, top_k=3, context=context),
        "SendFeedback": pb.FeedbackRequest(rec_id="x", user_id=1, attributes={"a": "b"}),
    }

    async def act(_: Settings, channel: Any) -> None:
        for number in range(400):
            method = ("GetRecommendations", "SendFeedback")[number % 2]
            body = bytearray(whole[method].SerializeToString() if number % 3 else draw.randbytes(draw.randint(0, 60)))
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


def test_the_service_answers_to_its_plain_name_and_reflection_tells_both(tmp_path: Path) -> None:
    async def act(_: Settings, channel: Any) -> None:
        plain = "recommendation.RecommendationService"
        call = channel.unary_unary(
            f"/{plain}/GetRecommendations",
            request_serializer=pb.RecommendRequest.SerializeToString,
            response_deserializer=pb.RecommendResponse.FromString,
        )
        assert (await call(ASKED)).user_id == ALICE
        checked = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=plain))
        assert checked.status == health_pb2.HealthCheckResponse.SERVING
        told = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(file_containing_symbol=plain)])
        )
        files = [answer.file_descriptor_response.file_descriptor_proto async for answer in told]
        described = descriptor_pb2.FileDescriptorProto.FromString(files[0][0])
        assert [method.name for method in described.service[0].method] == [
            "Recommend",
            "GetRecommendations",
            "SendFeedback",
        ]

    scene(tmp_path, act)


def test_without_a_token_nobody_is_answered_nor_told_of_another_channel(tmp_path: Path) -> None:
    async def act(settings: Settings, channel: Any) -> None:
        stub = services.RecommendationServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Recommend(ASKED)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        scopes, now = [Scope.FEEDBACK_WRITE], NOW.timestamp()
        token = issue(settings, scopes=scopes, client="a", channel=Channel.CRM, seconds=60, now=now)
        rec_id = RecId(Channel.WEB, "", "00" * 8, NOW).signed(user_id=1, key=b"development-only")
        told = pb.FeedbackRequest(rec_id=rec_id, user_id=1, event_type=pb.FEEDBACK_TYPE_CLICK)
        told.timestamp.FromDatetime(NOW)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.SendFeedback(told, metadata=(("authorization", f"Bearer {token}"),))
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED

    ensure_issuer(Settings(data_dir=tmp_path, auth="on"))
    scene(tmp_path, act, auth="on")


def test_who_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    async def act(_: Settings, channel: Any) -> None:
        stub = services.RecommendationServiceStub(channel)
        first = stub.Recommend(ASKED)
        assert (await first).user_id == ALICE
        assert dict(await first.trailing_metadata())["ratelimit"] == '"user";r=3;t=0'
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            for _ in range(20):
                await stub.Recommend(ASKED)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert int(dict(refused.value.trailing_metadata())["retry-after"]) >= 1
        assert (await stub.Recommend(pb.RecommendRequest(user_id=BOB, channel=pb.CHANNEL_WEB))).user_id == BOB

    scene(tmp_path, act, user_rate=2)


@pytest.mark.parametrize(
    ("overload", "served"), [("refuse", {"PERSONAL": 3}), ("static", {"PERSONAL": 3, "STATIC": 9})]
)
def test_beyond_its_room_it_refuses_or_answers_from_memory(
    tmp_path: Path, overload: str, served: dict[str, int]
) -> None:
    store = FakeStore()
    told = metrics.REGISTRY.get_sample_value

    def counted() -> tuple[float, float]:
        """Refusals, and errors of the route: a call is one of the two, or the objective would see it twice."""
        labels = {"route": f"/{NAME}/Recommend", "method": "gRPC", "status": "503"}
        return told("recs_refusals_total", {"why": "busy"}) or 0.0, told("recs_requests_total", labels) or 0.0

    async def act(_: Settings, channel: Any) -> None:
        stub = services.RecommendationServiceStub(channel)
        store.delay = 0.3
        before = counted()
        found = await asyncio.gather(*(stub.Recommend(ASKED) for _ in range(12)), return_exceptions=True)
        answers = [one for one in found if isinstance(one, pb.RecommendResponse)]
        assert Counter(pb.Tier.Name(one.tier).removeprefix("TIER_") for one in answers) == served
        refused = [one for one in found if isinstance(one, grpc.aio.AioRpcError)]
        assert len(answers) + len(refused) == 12
        assert all(one.code() is grpc.StatusCode.UNAVAILABLE for one in refused)
        assert all(dict(one.trailing_metadata())["retry-after"] == "1" for one in refused)
        assert counted() == (before[0] + len(refused), before[1])

    scene(tmp_path, act, store=store, max_concurrency=3, overload=overload)


def test_a_call_is_counted_and_traced_as_a_request_is_and_names_nobody(tmp_path: Path) -> None:
    spans = InMemorySpanExporter()
    route = f"/{NAME}/Recommend"

    def counted(status: str) -> float:
        labels = {"route": route, "method": "gRPC", "status": status}
        return metrics.REGISTRY.get_sample_value("recs_requests_total", labels) or 0.0

    async def act(settings: Settings, channel: Any) -> None:
        stub = services.RecommendationServiceStub(channel)
        before = counted("200"), counted("422")
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Recommend(pb.RecommendRequest())
        someone = 987_654_321_012_345
        request = pb.RecommendRequest(user_id=someone, channel=pb.CHANNEL_WEB)
        call = stub.Recommend(request, metadata=(("traceparent", f"00-{'ab' * 16}-{'cd' * 8}-01"),))
        await call
        assert dict(await call.trailing_metadata())["x-trace-id"] == "ab" * 16
        assert (counted("200"), counted("422")) == (before[0] + 1, before[1] + 1)
        with told_metrics(settings.model_copy(update={"grpc_metrics_port": free_port()})) as port:
            async with httpx.AsyncClient() as client:
                told = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        assert f'route="{route}"' in told
        assert str(someone) not in told

    scene(tmp_path, act, traces=Traces.to(SimpleSpanProcessor(spans), share=1.0))
    found = {span.name: span for span in spans.get_finished_spans()}
    assert found[f"{NAME}/Recommend"].context.trace_id == int("ab" * 16, 16)
    assert found["look-up"].parent.span_id == found[f"{NAME}/Recommend"].context.span_id
