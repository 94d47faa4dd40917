"""What the overlay of a batch's users changes, in the numbers of one serving: product positions and item codes.

Suppressed items leave a user's candidates; boosts are told by item, and order them anew in `layout`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from api.contact import KeptBack
from api.serving import Candidates, Serving
from data_contracts.overlay import Boosts, Overlay, Pairs, Suppressed
from data_contracts.policy import Users
from data_contracts.policy.users import CHANNEL_CONSENT
from data_contracts.vocabulary import Channel, Kind

Bools = NDArray[np.bool_]

_EVERYWHERE = sum(CHANNEL_CONSENT.values())


@dataclass(frozen=True)
class OfferChanges:
    """Of one user, by item code; what is suppressed with the bits of the channels in which it is."""

    suppressed: Mapping[int, int] = field(default_factory=dict)
    boosts: Mapping[int, float] | None = None


@dataclass(frozen=True)
class Changes:
    """T users with events; P products. `rows`: user id -> row."""

    rows: Mapping[int, int]
    held: Bools  # [T, P]
    released: Bools  # [T, P]
    suppressed: NDArray[np.uint8]  # [T, P], bits of the channels in which it is
    boosts: NDArray[np.float64]  # [T, P], log-odds
    withdrawn: NDArray[np.uint8]  # [T]
    given: NDArray[np.uint8]  # [T]
    offers: Mapping[int, OfferChanges]  # by row
    kept_back: KeptBack | None = None

    @classmethod
    def of(cls, serving: Serving, overlay: Overlay, kept_back: KeptBack | None = None) -> Self:
        shape = (len(overlay.user_ids), serving.policy.products)
        suppressed = _suppressed(serving, overlay.suppressed, shape)
        with_family = _suppressed(serving, overlay.families_of, shape)
        for row, product in zip(*np.nonzero(with_family), strict=True):
            suppressed[row, serving.policy.family == serving.policy.family[product]] |= with_family[row, product]
        for row, family, channels in _suppressions(overlay.families):
            if family in serving.is_of_family:
                suppressed[row, serving.is_of_family[family]] |= channels
        boosts = _summed(serving, overlay.boosts, shape)
        for row, family, strength in _named(overlay.family_boosts):
            boosts[row] += strength * serving.is_of_family[family]
        return cls(
            rows={user_id: row for row, user_id in enumerate(overlay.user_ids.tolist())},
            held=_flags(serving, overlay.held, shape),
            released=_flags(serving, overlay.released, shape),
            suppressed=suppressed,
            boosts=boosts,
            withdrawn=overlay.withdrawn,
            given=overlay.given,
            offers=_offers(serving, overlay),
            kept_back=kept_back,
        )

    def seen_now(self, users: Users, user_ids: Sequence[int]) -> Users:
        """The snapshot's users with what they hold and consent to now. Who was unknown stays so."""
        return self.seen_at(users, np.array([self.rows.get(user_id, -1) for user_id in user_ids], np.int64))

    def seen_at(self, users: Users, row: NDArray[np.int64]) -> Users:
        """The same by row of each user here, -1 for none."""
        places = np.flatnonzero(row >= 0)
        if not len(places):
            return users
        rows = row[places]
        holdings, consents = users.holdings.copy(), users.consents.copy()
        holdings[places] = (holdings[places] & ~self.released[rows]) | self.held[rows]
        consents[places] = (consents[places] | self.given[rows]) & ~self.withdrawn[rows]
        return replace(users, holdings=holdings, consents=consents)

    def left(self, user_id: int, channel: Channel, kind: Kind, found: Candidates) -> Candidates:
        """A user's candidates without those that events suppress, or that the contact policy keeps back."""
        if self.kept_back is not None:
            found = self.kept_back.left(user_id, channel, found)
        row = self.rows.get(user_id)
        if row is None:
            return found
        # Also of somebody unknown, whom the policy would answer in the app for want of consents on record.
        if self.is_withdrawn(user_id, channel):
            return ()
        if kind is Kind.OFFER:
            gone = self.offers[row].suppressed if row in self.offers else {}
            here = {code for code, channels in gone.items() if channels & CHANNEL_CONSENT[channel]}
            return tuple(candidate for candidate in found if candidate.index not in here) if here else found
        suppressed = self.suppressed[row] & CHANNEL_CONSENT[channel] != 0
        if not suppressed.any():
            return found
        return tuple(candidate for candidate in found if not suppressed[candidate.index])

    def is_withdrawn(self, user_id: int, channel: Channel) -> bool:
        row = self.rows.get(user_id)
        return row is not None and bool(self.withdrawn[row] & CHANNEL_CONSENT[channel])

    def product_boosts(self, user_ids: Sequence[int]) -> NDArray[np.float64]:
        """Log-odds that events add to the products of users [N, P]."""
        found = np.zeros((len(user_ids), self.boosts.shape[1]))
        for place, row in self._places(user_ids):
            found[place] = self.boosts[row]
        return found

    def offer_boosts(self, user_ids: Sequence[int], items: NDArray[np.int32]) -> NDArray[np.float64]:
        """Log-odds that events add to offers, by their codes [N, L]."""
        found = np.zeros(items.shape)
        for place, row in self._places(user_ids):
            boosts = self.offers[row].boosts if row in self.offers else None
            if boosts:
                found[place] = [boosts.get(code, 0.0) for code in items[place].tolist()]
        return found

    def _places(self, user_ids: Sequence[int]) -> list[tuple[int, int]]:
        """Of the users that something happened to: their places among `user_ids`, and their rows."""
        return [(place, self.rows[user_id]) for place, user_id in enumerate(user_ids) if user_id in self.rows]


def _flags(serving: Serving, pairs: Pairs, shape: tuple[int, int]) -> Bools:
    flags = np.zeros(shape, dtype=np.bool_)
    position = serving.policy.position
    known = [
        (row, position[name]) for row, name in zip(pairs.rows.tolist(), pairs.names, strict=True) if name in position
    ]
    if known:
        flags[tuple(np.array(known).T)] = True
    return flags


def _suppressed(serving: Serving, pairs: Suppressed, shape: tuple[int, int]) -> NDArray[np.uint8]:
    bits = np.zeros(shape, dtype=np.uint8)
    for row, name, channels in _suppressions(pairs):
        if name in serving.policy.position:
            bits[row, serving.policy.position[name]] = channels
    return bits


def _suppressions(pairs: Suppressed) -> list[tuple[int, str, int]]:
    return list(zip(pairs.rows.tolist(), pairs.names, pairs.channels.tolist(), strict=True))


def _summed(serving: Serving, boosts: Boosts, shape: tuple[int, int]) -> NDArray[np.float64]:
    sums = np.zeros(shape)
    for row, name, strength in _named(boosts):
        if name in serving.policy.position:
            sums[row, serving.policy.position[name]] += strength
    return sums


def _offers(serving: Serving, overlay: Overlay) -> Mapping[int, OfferChanges]:
    codes, products = serving.snapshot.offer_codes, serving.policy.position
    suppressed: defaultdict[int, dict[int, int]] = defaultdict(dict)
    cooling = zip(overlay.cooling.rows.tolist(), overlay.cooling.names, strict=True)
    for row, name, channels in [
        *_suppressions(overlay.suppressed),
        *((row, name, _EVERYWHERE) for row, name in cooling),
    ]:
        if name not in products and name in codes:
            suppressed[row][codes[name]] = channels
    boosts: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for row, name, strength in _named(overlay.boosts):
        if name not in products and name in codes:
            boosts[row][codes[name]] = strength
    return {row: OfferChanges(suppressed.get(row, {}), boosts.get(row)) for row in {*suppressed, *boosts}}


def _named(boosts: Boosts) -> list[tuple[int, str, float]]:
    return list(zip(boosts.rows.tolist(), boosts.names, boosts.strengths.tolist(), strict=True))
