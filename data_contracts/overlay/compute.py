"""Kept events to what they change. Pure and vectorised: one user and millions take the same path.

The answer depends only on the set of events: duplicates, by idempotency key, and order change no byte of it.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_contracts.columns import EVENT_TIME, EVENT_TYPE, FAMILY, ITEM_ID, USER_ID
from data_contracts.overlay.distinct import distinct_events, without_lifted
from data_contracts.overlay.kinds import KINDS, MICROS, MOST_BOOST, Effect
from data_contracts.overlay.rows import CHANNEL, TOPIC
from data_contracts.policy.users import CHANNEL_CONSENT

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_NAMES = sorted({f"{kind.topic}/{kind.event_type}" for kind in KINDS})
_NAME_SET = pa.array(_NAMES)
_CHANNELS = pa.array([channel.value for channel in CHANNEL_CONSENT])
_CHANNEL_BITS = np.array(list(CHANNEL_CONSENT.values()), dtype=np.uint8)
_FOREVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Pairs:
    """Users (positions in `Overlay.user_ids`) and names of items or families, in order of both."""

    rows: Ints
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Boosts(Pairs):
    strengths: NDArray[np.float64]  # log-odds, negative for what moves down


@dataclass(frozen=True)
class Suppressed(Pairs):
    channels: NDArray[np.uint8]  # bits of those in which it is


@dataclass(frozen=True)
class Overlay:
    """What events change for T users. `cooling`: offers that rest; `families_of`: items whose whole families are
    suppressed; `families`: those that events name.

    Consents are channel bits as the policy has them, [T]; a channel is in at most one of the two.
    """

    user_ids: Ints  # ascending
    held: Pairs
    released: Pairs
    cooling: Pairs
    suppressed: Suppressed
    families_of: Suppressed
    families: Suppressed
    boosts: Boosts
    family_boosts: Boosts
    withdrawn: NDArray[np.uint8]
    given: NDArray[np.uint8]


@dataclass(frozen=True)
class _Seen:
    """Distinct events that some rule is about, in one order; `event` is a position in _NAMES."""

    user_ids: Ints
    user: Ints
    event: Ints
    time: Ints
    age: Ints
    item: "_Words"
    family: "_Words"
    channel: Ints  # position in _CHANNELS, -1 for none

    def active(self, effect: Effect, since: int | None = None) -> Bools:
        """Events that have an effect, now; of them those after a moment."""
        window = _WINDOWS[effect][self.event]
        is_active = (window >= 0) & (self.age <= window)
        return is_active if since is None else is_active & (self.time >= since)


@dataclass(frozen=True)
class _Words:
    """A column of names as numbers in the order of the names; number 0 is ""."""

    words: tuple[str, ...]
    code: Ints

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "_Words":
        distinct = column.unique().to_pylist()
        words = ("", *sorted(set(distinct) - {""}))
        number = {word: code for code, word in enumerate(words)}
        encoded = column.combine_chunks().dictionary_encode()
        codes = np.array([number[word] for word in encoded.dictionary.to_pylist()], dtype=np.int64)
        return cls(words, codes[encoded.indices.to_numpy(zero_copy_only=False)])


def overlay(events: pa.Table, *, cut_off: int, now: int, late: int = 0) -> Overlay:
    """What `events` (EVENTS, of any users) change in a snapshot of a cut-off, in microseconds as `now` and `late`.

    `late`: how long before the cut-off an event may have happened that the snapshot has not seen.
    """
    seen = _seen(events, now=now)
    unseen_since = cut_off - late
    held, released = _latest(
        seen, seen.active(Effect.HOLD, unseen_since), seen.active(Effect.RELEASE, unseen_since), seen.item.code
    )
    withdrawn, given = _latest(seen, seen.active(Effect.WITHDRAW), seen.active(Effect.GIVE), seen.channel + 1)
    erased = _bits(seen, np.flatnonzero(seen.active(Effect.ERASE) & (seen.channel >= 0)))
    return Overlay(
        user_ids=seen.user_ids,
        held=_pairs(seen, held, seen.item),
        released=_pairs(seen, released[seen.time[released] >= cut_off], seen.item),
        cooling=_pairs(seen, _named(seen, Effect.COOL_DOWN), seen.item),
        suppressed=_suppressed(seen, Effect.SUPPRESS, seen.item),
        families_of=_suppressed(seen, Effect.SUPPRESS_FAMILY, seen.item),
        families=_suppressed(seen, Effect.SUPPRESS_FAMILY, seen.family),
        boosts=_item_boosts(seen, cut_off),
        family_boosts=_summed(seen, *_faded(seen, Effect.BOOST_FAMILY, cut_off), seen.family),
        withdrawn=_bits(seen, withdrawn) | erased,
        given=_bits(seen, given[seen.time[given] >= cut_off]) & ~erased,
    )


def _seen(events: pa.Table, *, now: int) -> _Seen:
    ordered = without_lifted(distinct_events(events))
    names = pc.binary_join_element_wise(ordered[TOPIC], ordered[EVENT_TYPE], "/")
    event = pc.fill_null(pc.index_in(names, value_set=_NAME_SET), -1).to_numpy().astype(np.int64)
    ruled = ordered.filter(pa.array(event >= 0))
    user_ids, user = np.unique(ruled[USER_ID].to_numpy(), return_inverse=True)
    time = np.minimum(ruled[EVENT_TIME].to_numpy(), now)
    channel = pc.fill_null(pc.index_in(ruled[CHANNEL], value_set=_CHANNELS), -1)
    return _Seen(
        user_ids=user_ids.astype(np.int64),
        user=user.astype(np.int64),
        event=event[event >= 0],
        time=time,
        age=now - time,
        item=_Words.of(ruled[ITEM_ID]),
        family=_Words.of(ruled[FAMILY]),
        channel=channel.to_numpy().astype(np.int64),
    )


def _latest(seen: _Seen, shuts: Bools, opens: Bools, about: Ints) -> tuple[Ints, Ints]:
    """Of each user and what it is `about` (0 is nothing) the last event: rows of those that shut, of those that open.

    Of two at the same moment the one that shuts counts.
    """
    rows = np.flatnonzero((shuts | opens) & (about > 0))
    rows = rows[np.lexsort((shuts[rows], seen.time[rows], about[rows], seen.user[rows]))]
    last = rows[_ends(seen.user[rows], about[rows])]
    return last[shuts[last]], last[~shuts[last]]


def _ends(*columns: Ints) -> Bools:
    """Whether a row is the last of those that have the same values, in columns that are sorted by them."""
    ends = np.ones(len(columns[0]), dtype=np.bool_)
    if len(ends):
        ends[:-1] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return ends


def _named(seen: _Seen, effect: Effect) -> Ints:
    return np.flatnonzero(seen.active(effect) & (seen.item.code > 0))


def _pairs(seen: _Seen, rows: Ints, names: _Words) -> Pairs:
    """Each pair once."""
    order = rows[np.lexsort((names.code[rows], seen.user[rows]))]
    order = order[_ends(seen.user[order], names.code[order])]
    return Pairs(seen.user[order], tuple(names.words[code] for code in names.code[order].tolist()))


def _suppressed(seen: _Seen, effect: Effect, names: _Words) -> Suppressed:
    """Each pair once, with all the channels that its events speak of."""
    rows = np.flatnonzero(seen.active(effect) & (names.code > 0))
    rows = rows[np.lexsort((names.code[rows], seen.user[rows]))]
    ends = np.flatnonzero(_ends(seen.user[rows], names.code[rows]))
    own = np.where(seen.channel[rows] >= 0, _CHANNEL_BITS[seen.channel[rows]], 0)
    bits = np.where(_IN_CHANNEL[effect][seen.event[rows]] > 0, own, _CHANNEL_BITS.sum()).astype(np.uint8)
    if len(ends):
        bits = np.bitwise_or.reduceat(bits, np.append(0, ends[:-1] + 1))
    words = tuple(names.words[code] for code in names.code[rows[ends]].tolist())
    return Suppressed(seen.user[rows[ends]], words, bits)


def _item_boosts(seen: _Seen, cut_off: int) -> Boosts:
    boosted, strengths = _faded(seen, Effect.BOOST, cut_off)
    tired, weights = _tired(seen)
    return _summed(seen, np.append(boosted, tired), np.append(strengths, weights), seen.item)


def _faded(seen: _Seen, effect: Effect, cut_off: int) -> tuple[Ints, NDArray[np.float64]]:
    rows = np.flatnonzero(seen.active(effect, cut_off))
    event = seen.event[rows]
    return rows, _STRENGTH[effect][event] * np.exp2(-seen.age[rows] / _HALF_LIFE[effect][event])


def _tired(seen: _Seen) -> tuple[Ints, NDArray[np.float64]]:
    """One row of each user and item that was shown too often."""
    rows = _named(seen, Effect.FATIGUE)
    rows = rows[np.lexsort((seen.event[rows], seen.item.code[rows], seen.user[rows]))]
    ends = np.flatnonzero(_ends(seen.user[rows], seen.item.code[rows], seen.event[rows]))
    times = np.diff(ends, prepend=-1)
    rows = rows[ends]
    rows = rows[times >= _AFTER[Effect.FATIGUE][seen.event[rows]]]
    return rows, _STRENGTH[Effect.FATIGUE][seen.event[rows]]


def _summed(seen: _Seen, rows: Ints, strengths: NDArray[np.float64], names: _Words) -> Boosts:
    """Strengths added by user and name, in one order, since the sum of floats depends on it; cut at MOST_BOOST."""
    is_named = names.code[rows] > 0
    rows, strengths = rows[is_named], strengths[is_named]
    order = np.lexsort((strengths, seen.time[rows], names.code[rows], seen.user[rows]))
    rows, strengths = rows[order], strengths[order]
    ends = np.flatnonzero(_ends(seen.user[rows], names.code[rows]))
    starts = np.append(0, ends[:-1] + 1) if len(ends) else ends
    sums = np.add.reduceat(strengths, starts) if len(starts) else strengths
    words = tuple(names.words[code] for code in names.code[rows[ends]].tolist())
    return Boosts(seen.user[rows[ends]], words, np.clip(sums, -MOST_BOOST, MOST_BOOST))


def _bits(seen: _Seen, rows: Ints) -> NDArray[np.uint8]:
    bits = np.zeros(len(seen.user_ids), dtype=np.uint8)
    np.bitwise_or.at(bits, seen.user[rows], _CHANNEL_BITS[seen.channel[rows]])
    return bits


def _by_event(effect: Effect, attribute: str, missing: float) -> NDArray[np.float64]:
    found = {
        f"{kind.topic}/{kind.event_type}": float(getattr(kind, attribute)) for kind in KINDS if kind.effect is effect
    }
    return np.array([found.get(name, missing) for name in _NAMES])


def _windows(effect: Effect) -> Ints:
    """Microseconds by event; -1 where it has not this effect."""
    windows = {f"{kind.topic}/{kind.event_type}": kind.window for kind in KINDS if kind.effect is effect}
    return np.array(
        [
            -1 if name not in windows else _FOREVER if (window := windows[name]) is None else _micros(window)
            for name in _NAMES
        ],
        dtype=np.int64,
    )


def _half_lives(effect: Effect) -> NDArray[np.float64]:
    lives = {f"{kind.topic}/{kind.event_type}": kind.half_life for kind in KINDS if kind.effect is effect}
    return np.array([_micros(life) if (life := lives.get(name)) else np.inf for name in _NAMES])


def _micros(span: timedelta) -> int:
    return int(span.total_seconds() * MICROS)


_WINDOWS = {effect: _windows(effect) for effect in Effect}
_STRENGTH = {effect: _by_event(effect, "strength", 0.0) for effect in Effect}
_AFTER = {effect: _by_event(effect, "after", 1) for effect in Effect}
_IN_CHANNEL = {effect: _by_event(effect, "in_channel", 0) for effect in Effect}
_HALF_LIFE = {effect: _half_lives(effect) for effect in Effect}
