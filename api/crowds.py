"""Many users at once as arrays: what the snapshot says of them, and what happened to them since. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from api.bulk_chunks import Names
from api.overlay_changes import Changes
from api.ranks import Ranks
from api.serving import Serving
from api.times import Moment
from data_contracts.columns import ITEM_ID, USER_ID
from data_contracts.contact_policy import contact_policy
from data_contracts.contacts import send_after
from data_contracts.context import Emphasis, emphasis
from data_contracts.experiments import MADE_ON_DEMAND, Traits, Trials, assignments, chosen
from data_contracts.overlay.kinds import MOST_BOOST
from data_contracts.overlay.rows import micros
from data_contracts.policy import Users, employment_codes, holdings_matrix, may_profile
from data_contracts.vocabulary import Channel, Family, Kind, Variant
from sql.ranges import Rows

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Wanted:
    """What is asked for everybody; as in a `Question`. `variant` personal: as look-ups answer, experiments and all."""

    channel: Channel
    kind: Kind = Kind.PRODUCT
    top_k: int = 10
    families: frozenset[Family] = frozenset()
    exclude: frozenset[str] = frozenset()
    variant: Variant = Variant.PERSONAL

    def others(self, trials: Trials) -> tuple[Variant, ...]:
        """Variants of which somebody may be shown a list, besides personal ones."""
        named = (arm.variant for one in trials.experiments if self.kind in one.kinds for arm in one.arms.values())
        shown = set(named) if self.variant is Variant.PERSONAL else {self.variant}
        return tuple(variant for variant in MADE_ON_DEMAND if variant in shown)


@dataclass(frozen=True)
class Ground:
    """What holds for all users of one serving."""

    serving: Serving
    wanted: Wanted

    @cached_property
    def position(self) -> NDArray[np.int32]:
        """By item code of a product, -1 at the end for none."""
        return np.append(np.asarray(self.serving.position, np.int32), np.int32(-1))

    @cached_property
    def is_unwanted(self) -> Bools:
        """By item, and False at the end for none."""
        serving, wanted = self.serving, self.wanted
        if self.wanted.kind is Kind.OFFER:
            ids = serving.snapshot.items[ITEM_ID]
            codes = [serving.snapshot.offer_codes.get(item_id, -1) for item_id in wanted.exclude]
            unwanted = np.zeros(len(ids) + 1, np.bool_)
            unwanted[codes] = True
            unwanted[-1] = False
            return unwanted
        products = serving.rule_set.catalogue.products
        families = wanted.families or frozenset(Family)
        found = [one.family not in families or one.product_id in wanted.exclude for one in products]
        return np.array([*found, False], np.bool_)

    @cached_property
    def names(self) -> Names:
        if self.wanted.kind is Kind.OFFER:
            return Names(self.serving.snapshot.items[ITEM_ID].combine_chunks())
        return Names(pa.array(self.serving.policy.product_ids, pa.string()))

    @cached_property
    def _tails(self) -> tuple[NDArray[np.int64], Ranks]:
        kind = self.wanted.kind
        segments = sorted({segment for _, segment in self.serving.tails})
        lists = [self.serving.tail(kind, segment) for segment in segments]
        return np.array(segments, np.int64), Ranks.of_candidates([*lists, self.serving.popular_tails[kind]])

    def tails(self, segments: NDArray[np.int64]) -> Ranks:
        """What follows own lists, by segment."""
        known, ranks = self._tails
        if not len(known):
            return ranks[np.zeros(len(segments), np.intp)]
        row = np.minimum(np.searchsorted(known, segments), len(known) - 1)
        return ranks[np.where(known[row] == segments, row, len(known))]


@dataclass(frozen=True)
class Crowd:
    """N users: as the snapshot has them, and as they are now; `own`: their lists, `has_own` where one may be shown."""

    user_ids: NDArray[np.int64]
    segments: NDArray[np.int64]
    users: Users
    own: Ranks
    has_own: Bools
    changes: Changes | None
    row: NDArray[np.int64]  # in changes, -1 for none
    kept_back: NDArray[np.int64]  # row in what the contact policy keeps back, -1 for none
    boosts: NDArray[np.float64]  # [B, P], log-odds by what is held and, of products, by events
    boosted: NDArray[np.int64]  # its row there, -1 for none
    said: Emphasis

    def __len__(self) -> int:
        return len(self.user_ids)

    @classmethod
    def of(cls, ground: Ground, rows: Rows, moment: Moment) -> Self:
        serving, states = ground.serving, rows.states
        user_ids = states[USER_ID].to_numpy().astype(np.int64)
        as_of_night = users_of_table(ground, states)
        changes = moment.changes(serving, rows.events, (ground.wanted.channel,))
        row = _rows_in(changes.rows if changes else {}, user_ids)
        users = changes.seen_at(as_of_night, row) if changes else as_of_night
        is_profiled = may_profile(users)
        variants = _variants(ground, states, user_ids)
        own, has_list = _own(ground, rows, variants)
        has_own = has_list & is_profiled & (variants != Variant.SEGMENT.value) & (not moment.is_outdated)
        speaks = users.holdings & is_profiled[:, None] & ~(as_of_night.holdings & has_own[:, None])
        boosts, boosted, said = _boosts(ground, speaks, changes, row)
        segments = states["segment"].to_numpy().astype(np.int64)
        back = changes.kept_back if changes else None
        kept_back = _rows_in(back.rows if back else {}, user_ids)
        return cls(user_ids, segments, users, own, has_own, changes, row, kept_back, boosts, boosted, said)


def sent_after(ground: Ground, users: Users, moment: Moment) -> NDArray[np.datetime64]:
    """The earliest moment at which each user may be sent what is wanted, UTC; NaT where it may go at once."""
    return send_after(contact_policy(), ground.wanted.channel, users.region, now=micros(moment.now))


def users_of_table(ground: Ground, states: pa.Table) -> Users:
    held = states["holdings"].combine_chunks()
    rows = np.repeat(np.arange(len(held)), np.diff(held.offsets.to_numpy()))
    positions = ground.position[held.flatten().to_numpy(zero_copy_only=False)]
    words = states["employment"].combine_chunks().dictionary_encode()
    codes = employment_codes(words.dictionary.to_pylist())
    return Users.from_state(
        holdings=holdings_matrix(rows, positions, users=len(held), products=ground.serving.policy.products),
        employment=codes[words.indices.to_numpy(zero_copy_only=False)],
        **{name: states[name].to_numpy() for name in _ATTRIBUTES},
    )


_ATTRIBUTES = ("birth_year", "region", "income_band", "score_band", "arrears_days", "consents")


def _own(ground: Ground, rows: Rows, variants: NDArray[np.str_]) -> tuple[Ranks, Bools]:
    """Own lists of all users, of the variant of each or, where that is not there, personal; and whose there are."""
    ids = rows.states[USER_ID].to_numpy()
    own, has_list = _listed(ground, rows.lists, ids)
    for variant, lists in rows.others.items():
        others, is_there = _listed(ground, lists.filter(pc.greater(pc.list_value_length(lists["items"]), 0)), ids)
        theirs = np.flatnonzero(has_list & is_there & (variants == variant.value))
        width = max(own.width, others.width)
        own, others = own.widened(width), others.widened(width)
        own.put_rows(theirs, others[theirs])
    return own, has_list


def _listed(ground: Ground, lists: pa.Table, ids: NDArray[np.int64]) -> tuple[Ranks, Bools]:
    """Stored lists as rows of the users `ids`, and whose there are."""
    listed, stored = lists[USER_ID].to_numpy(), Ranks.of_stored(lists)
    if ground.wanted.kind is Kind.PRODUCT:
        stored = replace(stored, items=ground.position[stored.items])
    if np.array_equal(ids, listed):
        return stored, np.ones(len(ids), np.bool_)
    own, has_list = Ranks.none(len(ids), stored.width), np.isin(ids, listed)
    own.put_rows(np.flatnonzero(has_list), stored[np.isin(listed, ids)])
    return own, has_list


def _rows_in(found: Mapping[int, int], user_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows by user, -1 for none; `user_ids` ascend."""
    rows = np.full(len(user_ids), -1, np.int64)
    if len(user_ids):
        known = np.fromiter(found.keys(), np.int64, len(found))
        place = np.minimum(np.searchsorted(user_ids, known), len(user_ids) - 1)
        is_here = user_ids[place] == known
        rows[place[is_here]] = np.fromiter(found.values(), np.int64, len(found))[is_here]
    return rows


def _boosts(
    ground: Ground, speaks: Bools, changes: Changes | None, row: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], Emphasis]:
    """Of those whom something raises or tires: boosts of products by all of it, who they are, and what context says."""
    is_offer = ground.wanted.kind is Kind.OFFER
    rows = np.flatnonzero((row >= 0) | (speaks.any(axis=1) & (not is_offer)))
    said = emphasis(ground.serving.relations, (), speaks[rows])
    total = said.boosts
    if changes:
        happened = np.flatnonzero(row[rows] >= 0)
        total = total.copy()
        total[happened] += changes.boosts[row[rows[happened]]]
    is_boosted = np.full(len(rows), fill_value=True) if is_offer else total.any(axis=1)
    boosted = np.full(len(row), -1, np.int64)
    boosted[rows[is_boosted]] = np.flatnonzero(is_boosted)
    return np.clip(total, -MOST_BOOST, MOST_BOOST), boosted, said


def _variants(ground: Ground, states: pa.Table, user_ids: NDArray[np.int64]) -> NDArray[np.str_]:
    """Whose lists each user is shown: those asked for or, of personal ones, what an experiment's arm says."""
    running, wanted = ground.serving.trials.experiments, ground.wanted
    if not running or wanted.variant is not Variant.PERSONAL:
        return np.full(len(user_ids), wanted.variant.value)
    traits = zip(*(states[name].to_pylist() for name in ("segment", "region", "consents")), strict=True)
    found = (
        assignments(running, one, Traits(*traits_of)) for one, traits_of in zip(user_ids.tolist(), traits, strict=True)
    )
    return np.array([chosen(arms, wanted.kind).value for arms in found])
