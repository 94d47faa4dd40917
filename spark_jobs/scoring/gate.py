"""The publish gate: is a snapshot fit to be shown? Questions asked of the finished files, not of what wrote them.

Each list is looked at again, policy included, by a pass that shares nothing with scoring but the policy itself. Lists
are streamed; of the users, only `user_state` is held, so that a snapshot of millions is checked on one machine.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_contracts.catalogue import Catalogue
from data_contracts.columns import (
    OFFER_ITEMS,
    OFFER_REASONS,
    OFFER_SCORES,
    PRODUCT_ITEMS,
    PRODUCT_REASONS,
    PRODUCT_SCORES,
    USER_ID,
    VARIANT,
)
from data_contracts.gate import asked
from data_contracts.manifest import GateCheck, GateVerdict
from data_contracts.policy import CompiledPolicy, Consent, decide, decide_offers
from data_contracts.scores import LOGIT_ERROR, dequantise
from data_contracts.vocabulary import Tier, Variant
from spark_jobs.lake.snapshot_files import of_variant
from spark_jobs.ranking.user_state import policy_users
from spark_jobs.scoring.lists import LIST_LENGTH

_PRODUCT_LIST = (PRODUCT_ITEMS, PRODUCT_SCORES, PRODUCT_REASONS)
_OFFER_LIST = (OFFER_ITEMS, OFFER_SCORES, OFFER_REASONS)

Ints = NDArray[np.int64]


@dataclass
class Tally:
    """What was seen while lists streamed by. `lengths`: how many lists have 0, 1 … 20 (or more) items of a kind.

    listed_items, top_items (items,): how often each item stands on a list, and at its head.
    """

    listed_items: Ints
    top_items: Ints
    listed: list[Ints] = field(default_factory=list)
    strangers: int = 0
    repeated: int = 0
    disordered: int = 0
    unknown_items: int = 0
    uneven: int = 0
    forbidden: int = 0
    product_lengths: Ints = field(default_factory=lambda: np.zeros(LIST_LENGTH + 2, np.int64))
    offer_lengths: Ints = field(default_factory=lambda: np.zeros(LIST_LENGTH + 2, np.int64))

    @classmethod
    def of(cls, items: int) -> "Tally":
        """Nothing seen yet; items: how many the snapshot knows."""
        return cls(listed_items=np.zeros(items, np.int64), top_items=np.zeros(items, np.int64))


@dataclass(frozen=True)
class SnapshotTables:
    """A snapshot as the gate reads it. `lists` are read once; `user_state` and `fallback_lists` are held."""

    lists: Iterable[pa.RecordBatch]
    user_state: pa.Table
    fallback_lists: pa.Table
    items: int


@dataclass(frozen=True)
class _Rulebook:
    """What lists are held against. state: user_state in order of `users`, the user ids; values: of products."""

    state: pa.Table
    users: Ints
    values: NDArray[np.float64]
    policy: CompiledPolicy
    blocked: NDArray[np.bool_]


def judge(
    snapshot: SnapshotTables, *, catalogue: Catalogue, policy: CompiledPolicy, blocked_offers: Ints
) -> GateVerdict:
    """All checks, passed or not. `blocked_offers`: item codes under a compliance stop."""
    state = snapshot.user_state.sort_by(USER_ID).combine_chunks()
    users = state.column(USER_ID).to_numpy()
    values = np.array([product.value for product in catalogue.products] or [0.0])
    blocked = np.zeros(snapshot.items, np.bool_)
    blocked[blocked_offers] = True
    book, seen = _Rulebook(state, users, values, policy, blocked), dict[str, Tally]()
    for batch in snapshot.lists:
        for variant in (Variant.PERSONAL, *pc.unique(batch.column(VARIANT)).to_pylist()):
            seen.setdefault(variant, Tally.of(snapshot.items))
        for variant, tally in seen.items():
            _look_at(of_variant(batch, variant), tally, book)
    personal = seen.get(Variant.PERSONAL) or Tally.of(snapshot.items)
    forbidden = _forbidden_to_all(snapshot.fallback_lists, book)
    return GateVerdict.of(
        (
            *_user_checks(state, users, personal, list(seen.values())),
            *_list_checks(personal, seen, may_be_shown=_may_be_shown(book), forbidden=forbidden),
            *_concentration_checks(personal, products=policy.products),
            *_fallback_checks(snapshot.fallback_lists, snapshot.items),
        )
    )


def profiled(state: pa.Table) -> NDArray[np.bool_]:
    """Who should have a personal list: consenting customers; everybody where there are no customers at all."""
    consents = state.column("consents").to_numpy().astype(np.int64)
    if not (consents & Consent.KNOWN).any():
        return np.ones(len(consents), np.bool_)
    return np.asarray((consents & Consent.PROFILING) != 0)


def _look_at(batch: pa.RecordBatch, tally: Tally, book: _Rulebook) -> None:
    ids = batch.column(USER_ID).to_numpy()
    place = np.minimum(np.searchsorted(book.users, ids), max(len(book.users) - 1, 0))
    is_known = book.users[place] == ids if len(book.users) else np.zeros(len(ids), np.bool_)
    tally.strangers += int((~is_known).sum())
    tally.listed.append(ids[is_known])
    batch = batch.filter(pa.array(is_known))
    whom = policy_users(book.state.take(pa.array(place[is_known])), products=book.policy.products)
    products, product_scores = _padded(batch, _PRODUCT_LIST, tally)
    offers, offer_scores = _padded(batch, _OFFER_LIST, tally)
    is_product = products < book.policy.products
    is_offer = (offers < 0) | ((offers >= book.policy.products) & (offers < len(book.blocked)))
    tally.unknown_items += int((~is_product).sum() + (~is_offer).sum())
    products, offers = np.where(is_product, products, -1), np.where(is_offer, offers, -1)
    for listed in (products, offers):
        tally.listed_items += np.bincount(listed[listed >= 0], minlength=len(book.blocked))
        tally.top_items += np.bincount(listed[:, 0][listed[:, 0] >= 0], minlength=len(book.blocked))
    tally.product_lengths += _lengths(products)
    tally.offer_lengths += _lengths(offers)
    tally.repeated += _repeats(products) + _repeats(offers)
    tally.disordered += _rises(dequantise(product_scores) * book.values[products], products)
    tally.disordered += _rises(dequantise(offer_scores), offers)
    kept = decide(book.policy, whom, products.astype(np.int32), channel=None, top_k=LIST_LENGTH).keep
    may = decide_offers(whom, offers.astype(np.int32), blocked=book.blocked, channel=None, top_k=LIST_LENGTH).keep
    tally.forbidden += int(((products >= 0) & ~kept).sum() + ((offers >= 0) & ~may).sum())


def _padded(batch: pa.RecordBatch, names: tuple[str, str, str], tally: Tally) -> tuple[Ints, Ints]:
    """Items and scores, (n, longest), -1 and 0 where a list has ended. Lists of uneven length are counted."""
    lengths = [pc.list_value_length(batch.column(name)).to_numpy(zero_copy_only=False) for name in names]
    uneven = (lengths[0] != lengths[1]) | (lengths[0] != lengths[2])
    tally.uneven += int(uneven.sum())
    size = np.where(uneven, 0, lengths[0]).astype(np.int64)
    items = np.full((len(size), max(int(size.max(initial=0)), 1)), -1, np.int64)
    scores = np.zeros_like(items)
    is_filled = np.arange(items.shape[1]) < size[:, None]
    whole = batch.filter(pa.array(~uneven))
    items[is_filled] = whole.column(names[0]).flatten().to_numpy()
    scores[is_filled] = whole.column(names[1]).flatten().to_numpy()
    return items, scores


def _lengths(items: Ints) -> Ints:
    return np.bincount(np.minimum((items >= 0).sum(axis=1), LIST_LENGTH + 1), minlength=LIST_LENGTH + 2)


def _repeats(items: Ints) -> int:
    ordered = np.sort(items, axis=1)
    return int(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).sum())


def _rises(values: NDArray[np.float64], items: Ints) -> int:
    """Places where a list goes up by more than the quantisation of two scores explains."""
    both = (items[:, 1:] >= 0) & (items[:, :-1] >= 0)
    return int((both & (values[:, 1:] > values[:, :-1] * (1 + 3 * LOGIT_ERROR))).sum())


def _user_checks(state: pa.Table, users: Ints, tally: Tally, every: Sequence[Tally]) -> Iterator[GateCheck]:
    """tally: of the personal lists; every: of each variant's."""
    owners = [np.concatenate([np.empty(0, np.int64), *one.listed]) for one in every]
    anybody = np.unique(np.concatenate([np.empty(0, np.int64), *owners]))
    repeated = sum(len(of) - len(np.unique(of)) for of in owners)
    distinct = np.unique(np.concatenate([np.empty(0, np.int64), *tally.listed]))
    expected = users[profiled(state)]
    covered = np.isin(expected, distinct, assume_unique=False).mean() if len(expected) else 1.0
    yield asked("coverage", float(covered), "share of users who may be profiled with a personal list")
    yield asked("personal_share", len(distinct) / max(len(users), 1), "share of all users with a personal list")
    yield asked("one_list_a_user", repeated, "users with more than one list of a variant")
    yield asked("no_list_unasked", int((~np.isin(anybody, expected)).sum()), "lists of users who may not be profiled")
    yield asked("one_state_a_user", len(users) - len(np.unique(users)), "users with more than one row of user_state")
    yield asked("lists_have_state", sum(one.strangers for one in every), "lists of users without user_state")


def _list_checks(
    tally: Tally, seen: Mapping[str, Tally], *, may_be_shown: Mapping[str, bool], forbidden: int
) -> Iterator[GateCheck]:
    """tally: of the personal lists; seen: of each variant's. A list by uplift is in no order of its scores.

    may_be_shown: by kind, whether the snapshot has such an item for anybody; forbidden: items of the fallback lists.
    """
    every = list(seen.values())
    by_score = [one for variant, one in seen.items() if variant != Variant.UPLIFT]
    yield asked(
        "even_lists", sum(one.uneven for one in every), "lists whose items, scores and reasons differ in number"
    )
    yield asked("known_items", sum(one.unknown_items for one in every), "listed items that the snapshot does not know")
    yield asked("no_repeats", sum(one.repeated for one in every), "items that stand twice on a list")
    yield asked("ordered_scores", sum(one.disordered for one in by_score), "places where a list's score rises")
    told = f"listed items that the policy forbids, {forbidden} of them on fallback lists"
    yield asked("policy", sum(one.forbidden for one in every) + forbidden, told)
    for name, lengths in (("product", tally.product_lengths), ("offer", tally.offer_lengths)):
        long = sum(int(getattr(one, f"{name}_lengths")[-1]) for one in every)
        yield asked(f"{name}_list_length", long, f"lists of more than {LIST_LENGTH} {name}s")
        # Nobody can have a kind of which there is no item to show; of any other an empty list is a fault.
        total, filled = int(lengths.sum()), int(lengths[1:].sum())
        share = filled / total if total and may_be_shown[name] else 1.0
        told = f"share of lists with at least one {name}; half have {_median(lengths)} or fewer"
        yield asked(f"{name}_lists_filled", share, told)


def _concentration_checks(tally: Tally, *, products: int) -> Iterator[GateCheck]:
    """Of kinds of which there is more than one item to choose from."""
    for name, of in (("product", slice(None, products)), ("offer", slice(products, None))):
        tops = tally.top_items[of]
        if len(tops) > 1 and tops.any():
            yield asked(
                f"{name}_top_share", float(tops.max() / tops.sum()), f"share of lists with the same {name} first"
            )
    offers = tally.listed_items[products:]
    listed = offers[offers > 0]
    if len(offers) > 1 and len(listed):
        yield asked("offer_concentration", gini(listed), "Gini coefficient of how often each listed offer is listed")
    # Where a list holds half of all offers, lists cannot help being alike.
    places = float(listed.sum()) / max(int(tally.offer_lengths[1:].sum()), 1)
    if len(offers) > 2 * places > 0:
        told = "offers listed, as if all equally often, over the places of a list; 1 is one list for everybody"
        yield asked("offer_variety", effective_number(listed) / places, told)


def effective_number(counts: Ints) -> float:
    """How many equally frequent items are as varied: exp of the Shannon entropy. counts (n,), all above 0.

    Source: Hill (1973), number of order 1.
    """
    shares = counts / counts.sum()
    return float(np.exp(-(shares @ np.log(shares))))


def gini(counts: Ints) -> float:
    """0: all alike; towards 1: one has all. counts (n,), not all 0. Source: Gini (1912), by the sorted form."""
    ordered = np.sort(counts).astype(np.float64)
    places = np.arange(1, len(ordered) + 1)
    return float((2 * places - len(ordered) - 1) @ ordered / (len(ordered) * ordered.sum()))


def _median(lengths: Ints) -> int:
    return int(np.searchsorted(np.cumsum(lengths), max(lengths.sum() / 2, 1)))


def _may_be_shown(book: _Rulebook) -> dict[str, bool]:
    """By kind, whether there is an item that is on sale and not blocked."""
    shown = _shown(book)
    return {"product": bool(shown[: book.policy.products].any()), "offer": bool(shown[book.policy.products :].any())}


def _forbidden_to_all(fallback: pa.Table, book: _Rulebook) -> int:
    """Items of fallback lists that nobody may be shown. Those that the snapshot does not know are told apart."""
    codes = _fallback_codes(fallback)
    shown = _shown(book)
    return int((~shown[codes[(codes >= 0) & (codes < len(shown))]]).sum())


def _shown(book: _Rulebook) -> NDArray[np.bool_]:
    """(items,) whether anybody may be shown an item: a product on sale, or any offer, under no compliance stop."""
    shown = ~book.blocked
    shown[: book.policy.products] &= book.policy.sold & ~book.policy.blocked
    return shown


def _fallback_codes(fallback: pa.Table) -> Ints:
    """Of every list and kind, as often as they stand there."""
    lists = [fallback.column(name).combine_chunks().flatten().to_numpy() for name in (PRODUCT_ITEMS, OFFER_ITEMS)]
    return np.asarray(np.concatenate(lists), np.int64)


def _fallback_checks(fallback: pa.Table, items: int) -> Iterator[GateCheck]:
    popular = fallback.filter(pc.equal(fallback.column("tier"), Tier.POPULAR.value)).to_pylist()
    length = sum(len(row[PRODUCT_ITEMS]) + len(row[OFFER_ITEMS]) for row in popular)
    yield asked("popular_list", float(length), "items on the list for all")
    codes = _fallback_codes(fallback)
    strange = int(((codes < 0) | (codes >= items)).sum())
    yield asked("fallback_items_known", strange, "items on fallback lists that the snapshot does not know")
