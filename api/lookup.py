"""A question answered within a deadline: from the database in batches, else from memory."""

import asyncio
import logging
from collections.abc import Sequence

from api.batches import Batches
from api.recommend import Question, Reply, UserData, recommend
from api.store import Store
from api.watch import Watch
from data_contracts.errors import RecsError

_LOG = logging.getLogger("recs.api")

LARGEST_BATCH = 100
BATCHES_IN_FLIGHT = 2
# A batch outlives the deadline of its questions: an overloaded database works on what was given up, and more queries
# would not make it faster. One that takes this long is not coming back.
ABANDON_SECONDS = 1.0


class Lookup:
    """Never raises for want of a list: without an answer in time, everyone is answered as somebody unknown."""

    def __init__(self, store: Store, watch: Watch, *, deadline_seconds: float) -> None:
        self._store = store
        self._watch = watch
        self._deadline = deadline_seconds
        self._batches = Batches(self._answer, largest=LARGEST_BATCH, in_flight=BATCHES_IN_FLIGHT)

    async def ask(self, question: Question) -> Reply:
        if self._watch.is_up and self._watch.serving.snapshot.is_whole:
            try:
                async with asyncio.timeout(self._deadline):
                    return await self._batches.ask(question)
            except (TimeoutError, RecsError):
                # The watch tells and logs that the database is in trouble; here it would be once a request.
                _LOG.debug("a look-up falls to the static tier")
            except Exception:
                _LOG.exception("a look-up falls to the static tier")
        return recommend(self._watch.serving, [question], None)[0]

    async def _answer(self, questions: Sequence[Question]) -> Sequence[Reply]:
        # One serving for the whole batch, taken once: an answer never mixes snapshots.
        serving = self._watch.serving
        user_ids = sorted({question.user_id for question in questions})
        async with asyncio.timeout(max(self._deadline, ABANDON_SECONDS)):
            lists, states = await asyncio.gather(
                self._store.lists(serving.snapshot_id, user_ids), self._store.user_states(serving.snapshot_id, user_ids)
            )
        return recommend(serving, questions, UserData(states, lists))
