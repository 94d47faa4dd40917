"""What was answered, on its way to the log: kept in memory, written by a thread, dropped rather than waited for.

`log` costs a request one append. A thread turns what has come into events and puts them into the outbox. Where memory
or outbox is full, exposures are dropped, and `dropped` counts every one.
"""

import logging
import os
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from api.answers import Answer
from api.layout import Question
from api.outbox import Entry, Outbox, Put
from api.recommend import Reply
from api.traces import traceparent
from data_contracts.vocabulary import Kind

_LOG = logging.getLogger("recs.api")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_IN_MEMORY = 20_000
_WRITE_SECONDS = 0.1
# In one go: more would keep the interpreter from answering.
_MOST_AT_ONCE = 100
# Without an experiment.
_NO_ARM = "control"
MIXED = "mixed"


@dataclass(frozen=True)
class Exposure:
    question: Question
    reply: Reply
    answer: Answer
    at: datetime
    trace: str = ""


class ExposureLog:
    def __init__(self, outbox: Outbox, *, most_in_memory: int = _MOST_IN_MEMORY) -> None:
        self._outbox = outbox
        self._most = most_in_memory
        self._waiting: deque[Exposure] = deque()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="write exposures", daemon=True)
        self.logged = 0
        self.dropped = 0

    def start(self) -> None:
        self._thread.start()

    def log(self, question: Question, reply: Reply, answer: Answer, *, at: datetime) -> None:
        """From the event loop only; never blocks, never raises."""
        if len(self._waiting) >= self._most:
            self.dropped += 1
        else:
            self._waiting.append(Exposure(question, reply, answer, at, traceparent()))

    def stop(self, *, seconds: float) -> None:
        """What is in memory is written before this returns, if the disk lets it within `seconds`."""
        self._is_over.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._is_over.wait(_WRITE_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        while some := [self._waiting.popleft() for _ in range(min(_MOST_AT_ONCE, len(self._waiting)))]:
            try:
                kept = self._outbox.put([_entry(one) for one in some]).count(Put.KEPT)
            except Exception as error:  # whatever it is, answers go on
                _LOG.warning("exposures cannot be kept: %s", error)
                kept = 0
            self.logged += kept
            self.dropped += len(some) - kept


def _entry(exposure: Exposure) -> Entry:
    event_id = os.urandom(16).hex()
    return Entry(event_id, event_of(exposure, event_id=event_id), trace=exposure.trace)


def event_of(exposure: Exposure, *, event_id: str) -> bytes:
    """JSON of the fields of recommendation.exposures."""
    question, answer = exposure.question, exposure.answer
    shown = answer["recommendations"]
    context, kinds, assignments = question.context, question.kinds, exposure.reply.assignments
    return orjson.dumps(
        {
            "event_id": event_id,
            "event_time": (exposure.at - _EPOCH) // timedelta(microseconds=1),
            "user_id": question.user_id,
            "rec_id": answer["rec_id"],
            "channel": question.channel,
            "kind": kinds[0] if len(kinds) == 1 else MIXED,
            "snapshot_id": answer["snapshot_id"],
            "experiment": assignments[0].experiment if assignments else None,
            "arm": assignments[0].arm if assignments else _NO_ARM,
            "assignments": [{"experiment": one.experiment, "arm": one.arm} for one in assignments],
            "variant": answer["variant"],
            "product_variant": exposure.reply.variants.get(Kind.PRODUCT),
            "offer_variant": exposure.reply.variants.get(Kind.OFFER),
            "tier": answer["tier"],
            "policy_hash": answer["policy_hash"],
            "top_k": question.top_k,
            "families": sorted(question.families),
            "exclude": sorted(question.exclude),
            "screen": context.screen,
            "placement": context.placement,
            "search_family": context.search,
            "cart": context.cart,
            "basket_product": context.basket_product,
            "items": [
                {
                    "item_id": item["product_id"],
                    "position": position,
                    "tier": item["tier"],
                    "score": item["score"],
                    "propensity": propensity,
                }
                for position, (item, propensity) in enumerate(zip(shown, exposure.reply.propensities, strict=True), 1)
            ],
        }
    )
