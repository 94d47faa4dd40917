"""Who is active on a day, how much, when, and about what: shared by every domain."""

import zlib
from dataclasses import dataclass

import numpy as np

from infra.local.world.arrays import Bools, Bytes, Floats, Ints, SmallInts, ints, uniforms
from infra.local.world.clock import LAST_SECOND, draw_seconds
from infra.local.world.log import IntentRows
from infra.local.world.parameters import Parameters
from infra.local.world.people import People
from infra.local.world.plan import Plan
from infra.local.world.universe import Shelf


@dataclass(frozen=True)
class Wants:
    """A day's intents, one a user at most: `family` is -1 for who has none; `topic` is what an intent looks at."""

    family: Bytes
    wish: SmallInts
    topic: Bytes


def todays_wants(rng: np.random.Generator, intents: IntentRows, params: Parameters, *, users: int) -> Wants:
    family = np.full(users, -1, dtype=np.int8)
    wish = np.full(users, -1, dtype=np.int16)
    topic = np.full(users, -1, dtype=np.int8)
    # Where a user has several, the last one wins.
    family[intents.user] = intents.family
    wish[intents.user] = intents.wish
    names = params.taste_names
    for number, behaviour in enumerate(params.families.values()):
        mine = np.flatnonzero(family == number)
        topics = np.array([names.index(name) for name in behaviour.topics], dtype=np.int8)
        topic[mine] = topics[rng.integers(0, len(topics), len(mine))]
    return Wants(family, wish, topic)


@dataclass(frozen=True)
class Visits:
    """A day's events in one domain, user by user, before anything is known of them but when (seconds)."""

    user: Ints
    second: Ints
    first: Bools  # the user's first event of the day

    def __len__(self) -> int:
        """How many events."""
        return len(self.user)

    def head(self, rows: int) -> "Visits":
        return Visits(self.user[:rows], self.second[:rows], self.first[:rows])

    def by_time(self) -> "Visits":
        order = np.argsort(self.second, kind="stable")
        return Visits(self.user[order], self.second[order], self.first[order])


def draw_visits(
    rng: np.random.Generator, people: People, plan: Plan, params: Parameters, *, domain: str, day: int, share: Floats
) -> Visits:
    """`share` multiplies each user's rate (0 keeps a user away)."""
    activity = params.activity[domain]
    weekend = params.behaviour.weekend[domain] if plan.date(day).weekday() >= 5 else 1.0
    habit = people.habit[:, tuple(params.activity).index(domain)]
    rate = np.minimum(activity.active * weekend * habit * share, 0.9)
    users = np.flatnonzero(rng.random(len(people), dtype=np.float32) < rate)
    more = np.floor(rng.exponential(activity.more, len(users)) * np.sqrt(habit[users])).astype(np.int64)
    count = 1 + np.minimum(more, 60)
    user = np.repeat(users, count)
    first = np.zeros(len(user), dtype=bool)
    begin = np.cumsum(count) - count
    first[begin] = True
    step = np.arange(len(user)) - np.repeat(begin, count)
    start = np.repeat(draw_seconds(rng, len(users)), count)
    return Visits(user, np.minimum(start + 45 * step + rng.integers(0, 45, len(user)), LAST_SECOND), first)


@dataclass(frozen=True)
class Choices:
    """What events are about, and whether it is of the user's own style or a favourite."""

    item: Ints
    topic: Ints
    own_style: Bools
    favourite: Bools

    def replaced(self, where: Bools, item: Ints, *, people: People, user: Ints, shelf: Shelf) -> "Choices":
        """The same with other items in some places."""
        items = np.where(where, item, self.item)
        return about(people, user, items, shelf, favourite=self.favourite)


def draw_topics(rng: np.random.Generator, people: People, wants: Wants, user: Ints, params: Parameters) -> Ints:
    """Topics by taste; in intent, often the intent's."""
    draw = rng.random(len(user), dtype=np.float32)
    topic = (draw[:, None] >= people.taste_cdf[user]).sum(axis=1)
    topic = np.minimum(topic, len(params.tastes) - 1)
    moved = (wants.topic[user] >= 0) & (rng.random(len(user), dtype=np.float32) < params.behaviour.intent_topic)
    return np.where(moved, wants.topic[user], topic).astype(np.int64)


def draw_blocks(rng: np.random.Generator, people: People, user: Ints, topic: Ints, params: Parameters) -> Ints:
    """(topic, style) blocks: often the user's own style."""
    styles = params.behaviour.clusters
    own = rng.random(len(user), dtype=np.float32) < params.behaviour.cluster
    other = rng.integers(0, styles, len(user))
    return ints(topic * styles + np.where(own, people.style[user, topic], other))


def draw_items(
    rng: np.random.Generator,
    people: People,
    wants: Wants,
    visits: Visits,
    *,
    shelf: Shelf,
    params: Parameters,
    day: int,
) -> Choices:
    behaviour = params.behaviour
    user = visits.user
    topic = draw_topics(rng, people, wants, user, params)
    block = draw_blocks(rng, people, user, topic, params)
    item = shelf.pick(block, rng.random(len(user), dtype=np.float32), zipf=behaviour.zipf)
    favourite = rng.random(len(user), dtype=np.float32) < behaviour.favourite
    known = np.flatnonzero(favourite)
    item[known] = _favourites(rng, people, user[known], shelf, params, day=day)
    item = _repeat(rng, item, visits.first, share=behaviour.repeat)
    return about(people, user, item, shelf, favourite=favourite)


def about(people: People, user: Ints, item: Ints, shelf: Shelf, *, favourite: Bools) -> Choices:
    topic = shelf.topic[item].astype(np.int64)
    return Choices(item, topic, people.style[user, topic] == shelf.style[item], favourite)


def _favourites(
    rng: np.random.Generator, people: People, user: Ints, shelf: Shelf, params: Parameters, *, day: int
) -> Ints:
    """One of each user's few favourites: a function of user, slot and season, so no memory of them is kept."""
    behaviour = params.behaviour
    slot = np.floor(behaviour.favourites * rng.random(len(user)) ** 1.7).astype(np.int64)
    ids = people.user_id[user]
    season = (day + ids % behaviour.favourite_days) // behaviour.favourite_days
    salt = zlib.crc32(shelf.domain.encode())
    keys = (ids, slot, season)
    topic = (uniforms(*keys, salt)[:, None] >= people.taste_cdf[user]).sum(axis=1)
    topic = np.minimum(topic, len(params.tastes) - 1)
    block = topic * behaviour.clusters + people.style[user, topic]
    return shelf.pick(block, uniforms(*keys, salt + 1), zipf=behaviour.zipf * 0.6)


def _repeat(rng: np.random.Generator, values: Ints, first: Bools, *, share: float) -> Ints:
    """Some events are about the same as the one before."""
    again = ~first & (rng.random(len(values), dtype=np.float32) < share)
    source = np.where(again, 0, np.arange(len(values)))
    return values[np.maximum.accumulate(source)] if len(values) else values
