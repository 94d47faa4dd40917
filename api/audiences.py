"""Audiences: a product's best users whom everything lets be contacted, and what contacting them should bring."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from api.audience_models import AudienceOrder, Interval, Outcome, Overlap, Preview, ScoreShare
from api.audience_rules import Wanted, admitted
from api.refusals import InvalidError
from api.sendings import id_of, refuse_another
from api.serving import Serving
from api.times import Moment
from data_contracts.columns import ITEM_ID
from data_contracts.errors import UnavailableError
from data_contracts.experiments.assign import point, salt_number
from data_contracts.overlay.rows import micros
from data_contracts.scores import dequantise, quantise
from sql.audience_pool import Place, Pool
from sql.audiences import KeptAudience, Members, audience, controls, put_audience, running_members
from sql.client import Store
from sql.contacts import Contacts

_LEAST_PAGE, _MOST_PAGE = 5_000, 200_000
_SHARES = 20  # of the distribution of scores
_Z = 1.959964


@dataclass(frozen=True)
class Desk:
    """Where audiences are made: one snapshot and rules throughout, at one moment."""

    serving: Serving
    moment: Moment

    def preview(self, store: Store, order: AudienceOrder) -> Preview:
        """Raises InvalidError for a product that nobody knows, UnavailableError without a fresh snapshot."""
        found = self._found(store, order, salt="preview")
        outcome = self._outcome(order, found, _overlaps(store, found.members))
        return Preview(snapshot_id=self.serving.snapshot_id, outcome=outcome)

    def make(self, store: Store, order: AudienceOrder, *, actor: str, key: str = "") -> str:
        """The id of a new audience, or of that which the client's `key`, if it has one, made before. Its control group
        is contacted about the product by nobody from now on. Raises ConflictError for a key of another order.

        The audience comes first: what fails holds nobody out for one that is not there, and the same key goes on.
        """
        audience_id = id_of(actor, key, digits=32) if key else uuid4().hex
        name = uuid4().hex if key else audience_id
        kept = audience(store, audience_id) or self._put(store, order, audience_id, name=name, actor=actor)
        is_same = AudienceOrder.model_validate_json(kept.request) == order
        refuse_another(is_same=is_same, field="Idempotency-Key", what="audience")
        contacts = Contacts(audience_id, order.channel.value)
        contacts.hold_out(store, controls(store, kept.members), order.product_id, at=micros(self.moment.now))
        return audience_id

    def _put(self, store: Store, order: AudienceOrder, audience_id: str, *, name: str, actor: str) -> KeptAudience:
        """As it is kept: where the same was made elsewhere at once, that which came first."""
        found = self._found(store, order, salt=audience_id)
        members, outcome = found.members, self._outcome(order, found, _overlaps(store, found.members))
        put_audience(
            store,
            audience_id,
            members,
            name=name,
            actor=actor,
            snapshot_id=self.serving.snapshot_id,
            request=order.model_dump_json(),
            outcome=outcome.model_dump_json(),
        )
        kept = audience(store, audience_id)
        if kept is None:
            raise UnavailableError("the audience was not kept")
        return kept

    def wanted(self, order: AudienceOrder) -> Wanted:
        product = self.serving.policy.position.get(order.product_id)
        if product is None:
            raise InvalidError("product_id: the catalogue has no such product", field="product_id")
        return Wanted(
            product_id=order.product_id,
            product=product,
            channel=order.channel,
            segments=order.segments,
            exclude_holders=order.exclude_holders,
            contacted_days=order.exclude_contacted_days,
        )

    def _found(self, store: Store, order: AudienceOrder, *, salt: str) -> "_Found":
        wanted = self.wanted(order)
        if not self.serving.snapshot.is_whole or self.moment.is_outdated:
            raise UnavailableError("there is no snapshot that is fresh enough for personal lists")
        ids, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.uint16)]
        missing, looked = order.size, 0
        for users, theirs, is_in in self._pages(store, order, wanted):
            ids.append(users[is_in][:missing])
            scores.append(theirs[is_in][:missing])
            missing, looked = missing - len(ids[-1]), looked + len(users)
            if missing <= 0:
                break
        user_ids = np.concatenate(ids)
        drawn = point(user_ids.astype(np.uint64), salt_number(f"audience {salt}"))
        members = Members(user_ids, np.concatenate(scores), drawn / 2.0**64 < order.control_share)
        return _Found(members, looked)

    def _pages(
        self, store: Store, order: AudienceOrder, wanted: Wanted
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.bool_]]]:
        """The product's users, best first, their scores as stored, and who may be in it."""
        items = self.serving.snapshot.items[ITEM_ID].to_pylist()
        if order.product_id not in items:
            return
        pool = Pool(
            snapshot_id=self.serving.snapshot_id,
            variant=order.variant,
            item=items.index(order.product_id),
            least_score=int(quantise(order.min_score)) if order.min_score else 0,
            cut_off=self.moment.cut_off_micros,
        )
        after: Place | None = None
        most = min(max(_LEAST_PAGE, order.size + order.size // 4), _MOST_PAGE)
        while page := pool.page(store, after, most=most):
            users = page.users["user_id"].to_numpy().astype(np.int64)
            scores = page.users["score"].to_numpy().astype(np.uint16)
            yield users, scores, admitted(self.serving, self.moment, wanted, page)
            if len(users) < most:
                return
            after = Place(page.users["shortfall"][-1].as_py(), int(users[-1]))

    def _outcome(self, order: AudienceOrder, found: "_Found", overlaps: tuple[Overlap, ...]) -> Outcome:
        members = found.members
        chances = np.asarray(dequantise(members.scores[~members.is_control]))
        value = float(self.serving.values[self.serving.policy.position[order.product_id]])
        total = len(members.user_ids)
        low = float(dequantise(members.scores.min())) if total else None
        return Outcome(
            size=order.size,
            members=len(chances),
            control=total - len(chances),
            short="" if total == order.size else self._short(order, total, found.looked),
            least_score=low,
            scores=_distribution(chances),
            conversions=_interval(chances, 1.0),
            revenue=_interval(chances, value),
            overlaps=overlaps,
        )

    def _short(self, order: AudienceOrder, total: int, looked: int) -> str:
        kept = f"{self.serving.snapshot_id} keeps {looked} users of the product by {order.variant} scores"
        return f"only {total} users may be contacted so: {kept}{' of at least min_score' if order.min_score else ''}"


@dataclass(frozen=True)
class _Found:
    """`looked`: users who were looked at, those who may not be in it included."""

    members: Members
    looked: int


def _interval(chances: NDArray[np.float64], value: float) -> Interval:
    """A sum of independent draws, by its normal approximation."""
    expected, wide = float(chances.sum()), _Z * float(np.sqrt((chances * (1 - chances)).sum()))
    low, high = max(0.0, expected - wide), min(float(len(chances)), expected + wide)
    return Interval(expected=expected * value, low=low * value, high=high * value)


def _distribution(chances: NDArray[np.float64]) -> tuple[ScoreShare, ...]:
    if not len(chances):
        return ()
    counts, edges = np.histogram(chances, bins=_SHARES)
    return tuple(
        ScoreShare(least=float(edge), members=int(count)) for edge, count in zip(edges[:-1], counts, strict=True)
    )


def _overlaps(store: Store, members: Members) -> tuple[Overlap, ...]:
    shared = {
        audience_id: int(np.isin(users, members.user_ids).sum())
        for audience_id, users in running_members(store).items()
    }
    return tuple(Overlap(audience_id=audience_id, members=count) for audience_id, count in shared.items() if count)
