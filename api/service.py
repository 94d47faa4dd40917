"""The core: what the service does for a caller, whichever way it was asked. REST and gRPC only translate."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from threadpoolctl import threadpool_limits

from api import metrics
from api.answers import Answer, Writer
from api.breaker import Breaker
from api.events_out import EventsOut, Out, events_out
from api.feedback import Accepted
from api.layout import Question
from api.lookup import Lookup
from api.models import Feedback, Locale, Wishes
from api.opted_out import OptOuts, opted_out_path
from api.security import Principal
from api.store import Store
from api.times import Times
from api.watch import Watch
from data_contracts.experiments import Trials, experiments_in
from data_contracts.settings import Settings

_START_SECONDS = 2.0


@dataclass(frozen=True)
class Service:
    """The parts of a running service."""

    store: Store
    watch: Watch
    lookup: Lookup
    writer: Writer
    clock: Callable[[], datetime]
    out: EventsOut

    async def answer(self, question: Question, *, locale: Locale) -> Answer:
        """Always answers; the exposure is logged."""
        reply = await self.lookup.ask(question)
        now = self.clock()
        answer = self.writer.answer(question, reply, locale=locale, now=now)
        self.out.exposures.log(question, reply, answer, at=now)
        return answer

    async def answers(self, user_ids: Sequence[int], wishes: Wishes) -> list[Answer]:
        """The same for many users, in their order."""
        questions = [question_of(user_id, wishes) for user_id in user_ids]
        answers = []
        for number, (question, reply) in enumerate(
            zip(questions, await self.lookup.ask_many(questions), strict=True), start=1
        ):
            now = self.clock()
            answer = self.writer.answer(question, reply, locale=wishes.locale, now=now)
            self.out.exposures.log(question, reply, answer, at=now)
            answers.append(answer)
            if number % _WITHOUT_PAUSE == 0:
                await asyncio.sleep(0)
        return answers

    async def take_feedback(self, given: Feedback, *, caller: Principal, idempotency_key: str = "") -> Accepted:
        """On disk when this returns. Raises RefusalError and Refused."""
        return await self.out.desk.accept(given, caller=caller, idempotency_key=idempotency_key)


# Answers of a batch that are written before others get their turn.
_WITHOUT_PAUSE = 50


def question_of(user_id: int, wishes: Wishes) -> Question:
    return Question(
        user_id=user_id,
        channel=wishes.channel,
        kind=wishes.kind,
        top_k=wishes.top_k,
        families=wishes.families,
        exclude=wishes.exclude,
        context=wishes.meant,
    )


@asynccontextmanager
async def running_service(settings: Settings, store: Store, clock: Callable[[], datetime]) -> AsyncIterator[Service]:
    """Everything behind the calls, while the block lasts."""
    times = Times.of(settings)
    watch = Watch(
        store,
        clock=clock,
        times=times,
        copy=settings.data_dir / "api" / "static_copy.json",
        trials=Trials(experiments_in(settings.experiments), settings.exploration_share),
    )
    deadline = settings.lookup_deadline_ms / 1000
    async with events_out(settings, clock) as out:
        _gauges(watch, out)
        opt_outs = OptOuts(store, key=settings.signing_key, path=opted_out_path(settings.data_dir))
        service = Service(
            store=store,
            watch=watch,
            lookup=Lookup(
                store,
                watch,
                deadline_seconds=deadline,
                breaker=_breaker(settings),
                has_opted_out=opt_outs.includes,
            ),
            writer=Writer(key=settings.signing_key, timezone=times.timezone),
            clock=clock,
            out=out,
        )
        # The first look comes before the first request, so that it is not answered from the copy on disk; it waits no
        # longer than a start may take.
        await watch.poll(patience_seconds=_START_SECONDS)
        watching = asyncio.gather(
            watch.run(every_seconds=settings.pointer_poll_seconds),
            opt_outs.run(lambda: watch.serving.snapshot_id),
            opt_outs.watch(lambda: watch.serving.snapshot_id),
        )
        try:
            # The policy's matrices are small: more threads would only wait for each other.
            with threadpool_limits(limits=1, user_api="blas"):
                yield service
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            await store.close()


def _gauges(watch: Watch, out: EventsOut) -> None:
    def age() -> float | None:
        return None if watch.age is None else max(0.0, watch.age.total_seconds())

    metrics.gauge("recs_snapshot_age_seconds", "Age of what the served snapshot saw", age)
    metrics.gauge("recs_snapshot_outdated", "1 while personal lists are too old to show", lambda: bool(watch.outdated))
    metrics.gauge("recs_overlay_lag_seconds", "Events that came since are in no answer", lambda: watch.overlay_lag)
    metrics.gauge("recs_clickhouse_up", "1 while ClickHouse tells its pointers", lambda: watch.is_up)
    for name, way in (("feedback", out.feedback_out), ("exposures", out.exposures_out)):
        metrics.gauge(f"recs_{name}_outbox_depth", f"{name.title()} that waits on disk", partial(_depth, way))
    metrics.gauge("recs_exposures_dropped", "Exposures dropped since the start", lambda: out.exposures.dropped)


def _breaker(settings: Settings) -> Breaker:
    breaker = Breaker(
        failures=settings.breaker_failures,
        retry_seconds=settings.breaker_retry_seconds,
        # Late by little is mostly our own load, which sparing ClickHouse would not lighten.
        slow_seconds=5 * settings.lookup_deadline_ms / 1000,
    )
    metrics.gauge("recs_breaker_open", "1 while ClickHouse is spared after failures", lambda: breaker.is_open)
    return breaker


def _depth(way: Out) -> float:
    return way.outbox.depth
