"""Follows the pointers: polls them, loads what they point to, and swaps one immutable `Serving`.

The only writer of what serving answers from. Blocks and rules take effect at the poll that sees them, however long a
new snapshot takes to load meanwhile; a load that fails leaves what was there.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from api.serving import NO_RULES, Serving, Snapshot
from api.static_copy import SHIPPED, StaticCopy
from api.store import Pointers, RuleSet, Store
from api.threads import at_once
from api.times import Moment, Times
from data_contracts.errors import InputError, RecsError
from data_contracts.experiments import NO_TRIALS, Trials

_LOG = logging.getLogger("recs.api")

# A database that does not tell its pointers in this time is down, as far as look-ups go.
POLL_SECONDS = 2.0
LOAD_SECONDS = 60.0
# What takes longer to load goes on beside the next polls: a block is not to wait for it.
PATIENCE_SECONDS = 0.5
# A refusal costs an embedded database ten times an answer, and answers return within 5 s of the database's return.
_AGAIN_SECONDS = 1.0
# Looks at the overlay's writers are not needed as often, and a lag that is shorter is not worth a word.
LAG_POLL_SECONDS, LAG_SECONDS = 1.0, 10.0


class Watch:
    """`serving` is never empty: it starts with the saved copy, else with the one that ships with the project.

    `outage` says why the database cannot be used now, `lag` why what it points to is not served yet; "" for neither.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], datetime],
        times: Times,
        copy: Path,
        trials: Trials = NO_TRIALS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._times = times
        self._copy = copy
        self.trials = trials
        self._rules_seq = -1
        self._next_lag = 0.0
        self._pointed = ""
        self._loading: asyncio.Task[None] | None = None
        self._installing = asyncio.Lock()
        self.outage = "ClickHouse has not been asked yet"
        self.overlay_lag: float | None = None
        self.lag = ""
        saved = _saved(copy)
        self.serving = Serving.of(
            saved.snapshot,
            saved.rule_set,
            frozenset(saved.blocks),
            today=self.moment(saved.snapshot).today,
            trials=trials,
        )

    @property
    def is_up(self) -> bool:
        return not self.outage

    @property
    def age(self) -> timedelta | None:
        """Since the moment up to which the served snapshot saw its sources; negative in a sample world to come."""
        return self.moment(self.serving.snapshot).age

    @property
    def outdated(self) -> str:
        """Why personal lists are no longer shown as such; "" while they are."""
        moment = self.moment(self.serving.snapshot)
        if moment.age is None or not moment.is_outdated:
            return ""
        return f"snapshot {self.serving.snapshot_id} is {moment.age.days} days old: its personal lists are not shown"

    @property
    def deaf(self) -> str:
        """Why answers do not know of what users do; "" while they do. Nobody knows while the database is away."""
        if not self.is_up or (self.overlay_lag is not None and self.overlay_lag <= LAG_SECONDS):
            return ""
        if self.overlay_lag is None:
            return "no overlay writer was ever seen: what users did since the night changes no answer"
        return f"the overlay is {self.overlay_lag:.0f} s behind: what users did since then changes no answer"

    def moment(self, snapshot: Snapshot, at: datetime | None = None) -> Moment:
        """Now, or when an answer was given, from a snapshot."""
        return self._times.moment(snapshot, at or self._clock())

    async def run(self, *, every_seconds: float) -> None:
        """Poll for good, more seldom while the database is out."""
        try:
            while True:
                await self.poll()
                await asyncio.sleep(every_seconds if self.is_up else max(every_seconds, _AGAIN_SECONDS))
        finally:
            if self._loading is not None:
                self._loading.cancel()

    async def poll(self, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """One look at the pointers. Never raises: `outage`, `lag` and the log tell of trouble.

        A snapshot that is still loading after `patience_seconds` is served once it is there.
        """
        try:
            async with asyncio.timeout(POLL_SECONDS):
                pointers = await self._store.pointers()
        except TimeoutError:
            self._tell(outage=f"ClickHouse does not tell its pointers within {POLL_SECONDS:g} s")
        except RecsError as error:
            self._tell(outage=str(error))
        except Exception as error:  # else nobody would look at the pointers any more
            if self.is_up:
                _LOG.exception("the pointers cannot be read")
            self._tell(outage=f"the pointers cannot be read: {error!r}")
        else:
            self._tell(outage="")
            await self._follow(pointers, patience_seconds)
            await self._listen()
            return
        await self._turn_to_today()

    async def _turn_to_today(self) -> None:
        """What is sold, and to whom, goes by the day, also while nobody tells the pointers."""
        try:
            await self._install()
        except Exception as error:
            self._lags(error)

    async def _listen(self) -> None:
        """How far the overlay is behind. Before the table is there, nobody was seen."""
        now = time.monotonic()
        if now < self._next_lag:
            return
        self._next_lag = now + LAG_POLL_SECONDS
        try:
            async with asyncio.timeout(LAG_POLL_SECONDS / 2):
                self.overlay_lag = await self._store.overlay_lag()
        except InputError:
            self.overlay_lag = None
        except (TimeoutError, RecsError) as error:
            _LOG.debug("the overlay's lag cannot be read: %s", error)
        except Exception:
            _LOG.exception("the overlay's lag cannot be read")

    async def _follow(self, pointers: Pointers, patience_seconds: float) -> None:
        self._pointed = pointers.snapshot_id
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                await self._install(rule_set=await self._rule_set(pointers), blocks=pointers.blocks)
            self._rules_seq = pointers.rules_seq
        except Exception as error:
            self._lags(error)
            return
        held = self.serving.snapshot
        if not self._pointed or (held.is_whole and held.snapshot_id == self._pointed):
            self.lag = ""
            return
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._load(self._pointed))
        await asyncio.wait({self._loading}, timeout=patience_seconds)

    async def _load(self, snapshot_id: str) -> None:
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                snapshot = await self._snapshot(snapshot_id)
                if snapshot_id != self._pointed:  # the pointer has moved on: the next poll loads that
                    return
                await self._install(snapshot=snapshot)
        except Exception as error:
            self._lags(error)
        else:
            self.lag = ""
            _LOG.info("serving snapshot %s", snapshot_id)

    def _lags(self, error: Exception) -> None:
        """Whatever is wrong with what the pointers point to, the last good answers stay."""
        if not self.lag:
            _LOG.error("snapshot %s cannot be served", self._pointed, exc_info=error)
        self.lag = f"snapshot {self._pointed} cannot be served: {str(error) or type(error).__name__}"

    async def _rule_set(self, pointers: Pointers) -> RuleSet:
        if pointers.rules_seq == self._rules_seq:
            return self.serving.rule_set
        approved = await self._store.rule_set()
        if approved is None:
            # Before anything was published the copy is all there is; a snapshot without rules has no products.
            return NO_RULES if pointers.snapshot_id else self.serving.rule_set
        return approved

    async def _snapshot(self, snapshot_id: str) -> Snapshot:
        items, fallback, *_ = await asyncio.gather(
            self._store.snapshot_items(snapshot_id),
            self._store.fallback_lists(snapshot_id),
            # Touched once before it is served, so that no user's request is the one that finds it cold.
            self._store.look_up(snapshot_id, [0], cut_off=0),
        )
        return Snapshot(snapshot_id, items, fallback, is_whole=True)

    async def _install(
        self,
        *,
        snapshot: Snapshot | None = None,
        rule_set: RuleSet | None = None,
        blocks: frozenset[str] | None = None,
    ) -> None:
        """What is not given stays as it is served."""
        async with self._installing:
            held = self.serving
            snapshot, rule_set = snapshot or held.snapshot, rule_set or held.rule_set
            blocks, today = held.blocks if blocks is None else blocks, self.moment(snapshot).today
            is_same = snapshot is held.snapshot and rule_set is held.rule_set
            if is_same and blocks == held.blocks and today == held.policy.today:
                return
            # In a thread, so that requests are answered meanwhile.
            self.serving = await at_once(Serving.of, snapshot, rule_set, blocks, today=today, trials=self.trials)
            try:
                await at_once(StaticCopy.of(snapshot, rule_set, blocks).save, self._copy)
            except OSError as error:
                _LOG.warning("the copy for the static tier cannot be saved: %s", error)

    def _tell(self, *, outage: str) -> None:
        if bool(outage) != bool(self.outage):
            _LOG.log(logging.WARNING if outage else logging.INFO, "%s", outage or "ClickHouse answers")
        self.outage = outage


def _saved(path: Path) -> StaticCopy:
    if path.exists():
        try:
            return StaticCopy.load(path)
        except InputError as error:
            _LOG.warning("%s; starting from the copy that ships with the project", error)
    return StaticCopy.load(SHIPPED)
