"""A question answered within a deadline: from the database in batches, else from memory."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from api import metrics, traces
from api.batches import Batches
from api.breaker import Breaker
from api.layout import Question
from api.recommend import Reply, recommend
from api.room import PLACE
from api.store import Store
from api.watch import Watch
from data_contracts.errors import RecsError
from data_contracts.vocabulary import Channel

_LOG = logging.getLogger("recs.api")

LARGEST_BATCH = 100
BATCHES_IN_FLIGHT = 2
# Questions under way beside which a second batch goes at once. Measured at 64 connections over gRPC: where a second one
# may go beside any number, each question costs the database half as much again.
FEW = 4
# Of a batch that came as one request; a part is waited for longer than a single look-up.
LARGEST_PART = 250
_PART_DEADLINES = 5
# A batch outlives the deadline of its questions: an overloaded database works on what was given up, and more queries
# would not make it faster. One that takes this long is not coming back.
ABANDON_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Asked:
    question: Question
    asker: traces.Asker | None


class Lookup:
    """Never raises for want of a list: without an answer in time, everyone is answered as somebody unknown."""

    def __init__(
        self,
        store: Store,
        watch: Watch,
        *,
        deadline_seconds: float,
        breaker: Breaker,
        has_opted_out: Callable[[int, Channel], bool] = lambda _user_id, _channel: False,
    ) -> None:
        self._store = store
        self._watch = watch
        self._deadline = deadline_seconds
        self._breaker = breaker
        self.has_opted_out = has_opted_out
        self._under_way: set[float] = set()
        self._database_seconds = 0.0  # of the last look-up
        self._batches = Batches(self._shared, largest=LARGEST_BATCH, in_flight=BATCHES_IN_FLIGHT, few=FEW)
        # Those who are late are late together; one by one they would cost a busy service more than what they asked for.
        self._in_memory = Batches(self._recalled, largest=LARGEST_BATCH, in_flight=1)

    async def ask(self, question: Question) -> Reply:
        started = time.perf_counter()
        # While the breaker is open, one that it lets through is a trial.
        why = self._barred() or ("" if self._breaker.lets_through() else "breaker")
        (reply,) = await self._asked([question], why, self._in_time)
        metrics.ANSWERS[reply.tier].observe(time.perf_counter() - started)
        return reply

    async def _in_time(self, questions: Sequence[Question]) -> Sequence[Reply]:
        place, asker, started = PLACE.get(), traces.asker(), time.perf_counter()
        try:
            async with asyncio.timeout(self._deadline):
                replies = [await self._batches.ask(_Asked(question, asker)) for question in questions]
        except TimeoutError:
            place.elsewhere = self._waiting_seconds()
            raise
        finally:
            traces.waited(time.perf_counter() - started)
        place.elsewhere = self._database_seconds
        return replies

    def _barred(self) -> str:
        """Why the database may not be asked now; "" where it may."""
        if not (self._watch.is_up and self._watch.serving.snapshot.is_whole):
            return "down"
        return "" if PLACE.get().may_ask_database else "busy"

    async def _asked(
        self,
        questions: Sequence[Question],
        why: str,
        look_up: Callable[[Sequence[Question]], Awaitable[Sequence[Reply]]],
    ) -> Sequence[Reply]:
        """From the database, else, where there is a `why` not to or it is late or failing, from memory."""
        if not why:
            try:
                return _counted(await look_up(questions))
            except TimeoutError:
                why = "late"
            except RecsError:
                # The watch tells and logs that the database is in trouble; here it would be once a request.
                why = "refused"
            except Exception:
                _LOG.exception("a look-up falls to the static tier")
                why = "error"
        metrics.REPLACED.labels(why).inc(len(questions))
        return _counted(await asyncio.gather(*map(self._in_memory.ask, questions)))

    async def _shared(self, asked: Sequence[_Asked]) -> Sequence[Reply]:
        span = traces.shared_database("look-up", [one.asker for one in asked], questions=len(asked))
        return await self._watched([one.question for one in asked], span)

    async def _watched(
        self, questions: Sequence[Question], span: AbstractContextManager[None], *, seconds: float = 0.0
    ) -> Sequence[Reply]:
        """`seconds`: the longest wait for the database; 0: until nobody may wait for it any more."""
        metrics.BATCHES.observe(len(questions))
        started = time.perf_counter()
        try:
            with span:
                replies = await self._answer(questions, seconds or max(self._deadline, ABANDON_SECONDS))
        except Exception:
            self._breaker.failed()
            raise
        self._breaker.answered(seconds=time.perf_counter() - started)
        return replies

    def _waiting_seconds(self) -> float:
        """How long the oldest look-up under way has waited for the database."""
        return time.perf_counter() - min(self._under_way) if self._under_way else 0.0

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        started = time.perf_counter()
        self._under_way.add(started)
        try:
            yield
        finally:
            self._under_way.discard(started)
            self._database_seconds = time.perf_counter() - started

    async def ask_many(self, questions: Sequence[Question]) -> list[Reply]:
        """One reply a question, in their order, apart from single questions, which are not made to wait for these.

        Few large queries; between them others get their turn, and while one part is worked on the next is read. What
        does not come in time is answered from memory.
        """
        turns = asyncio.Semaphore(BATCHES_IN_FLIGHT)
        was_late = asyncio.Event()

        async def in_time(part: Sequence[Question]) -> Sequence[Reply]:
            try:
                span = traces.database("look-up", questions=len(part))
                return await self._watched(part, span, seconds=_PART_DEADLINES * self._deadline)
            except TimeoutError:
                was_late.set()  # and so would the parts to come be
                raise

        async def answered(part: Sequence[Question]) -> Sequence[Reply]:
            async with turns:
                spared = "breaker" if self._breaker.is_open else "late" if was_late.is_set() else ""
                return await self._asked(part, self._barred() or spared, in_time)

        parts = [questions[start : start + LARGEST_PART] for start in range(0, len(questions), LARGEST_PART)]
        return [reply for replies in await asyncio.gather(*map(answered, parts)) for reply in replies]

    async def _recalled(self, questions: Sequence[Question]) -> Sequence[Reply]:
        """What is safe for anyone; nothing for whom we know to have opted out."""
        replies = recommend(self._watch.serving, questions, None)
        return [
            replace(reply, shown=(), propensities=())
            if self.has_opted_out(question.user_id, question.channel)
            else reply
            for question, reply in zip(questions, replies, strict=True)
        ]

    async def _answer(self, questions: Sequence[Question], seconds: float) -> Sequence[Reply]:
        """Raises where lists, states and events cannot all be read.

        Without events nobody knows what a user holds and consents to by now: as without a state, only what is safe for
        anyone may be shown.
        """
        # One serving for the whole batch, taken once: an answer never mixes snapshots.
        serving = self._watch.serving
        moment = self._watch.moment(serving.snapshot)
        user_ids = sorted({question.user_id for question in questions})
        with self._waiting():
            async with asyncio.timeout(seconds):
                found = await self._store.look_up(serving.snapshot_id, user_ids, cut_off=moment.cut_off_micros)
        channels = {question.channel for question in questions}
        return recommend(serving, questions, moment.user_data(serving, found, channels))


def _counted(replies: Sequence[Reply]) -> Sequence[Reply]:
    for reply in replies:
        metrics.BY_TIER[reply.tier].inc()
    return replies
