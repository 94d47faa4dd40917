"""What each domain of behaviour adds: the same models with and without it, on the same test, by user and so paired.

Offers: a domain that holds offers is left out of everything that is learned from and looked at (histories, retrieval,
ranker). Its own items cannot be found then, so both sides are judged on the items of the other domains: what is told
is what behaviour in this domain says about the others.
Products: the features of a domain (f_<domain>_* and f_pair_<domain>_*) are left out of the ranker.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_contracts.vocabulary import Domain
from spark_jobs.candidates.base import NO_ITEM
from spark_jobs.evaluation.backtest import BacktestParams, night_lists
from spark_jobs.evaluation.figures import head_items, relevant_items
from spark_jobs.evaluation.intervals import Estimate, bootstrap
from spark_jobs.evaluation.metrics import Doubles, Mask, Relevant, ndcg
from spark_jobs.evaluation.product_figures import best_products
from spark_jobs.evaluation.slices import Panel, Slice
from spark_jobs.evaluation.tecd_log import OfferLog
from spark_jobs.features.history import Events, Ints, Longs, build_history
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.product_training import train_on
from spark_jobs.ranking.products import Cases, LabelledUsers, told_to_strangers

OFFER_SOURCES = ("als", "itemcf", "blend", "ranked")
_LABEL = "any"
_SEED = 20240229


@dataclass(frozen=True)
class Ablation:
    """NDCG@k of `model` with and without a domain, and the mean of the users' differences with its paired interval."""

    domain: Domain
    model: str
    whole: Estimate
    without: Estimate
    adds: Estimate


@dataclass(frozen=True)
class ProductCases:
    """Users to train on and later ones to test on, with the names of their features and pair signals."""

    train: LabelledUsers
    test: LabelledUsers
    feature_names: tuple[str, ...]
    pair_names: tuple[str, ...]

    def seen(self, users: LabelledUsers) -> Cases:
        return Cases(users, self.feature_names, self.pair_names)


def ablate_offers(log: OfferLog, params: BacktestParams, *, domains: Sequence[Domain]) -> Iterator[Ablation]:
    """For each of the domains whose offers the log holds. One seed: the first."""
    test = log.events.between(params.start, params.end)
    users = np.unique(test.user_id)
    relevant = relevant_items(test, users, label=_LABEL, n_items=len(log.item_ids))
    past = log.events.before(params.cut)
    whole, panel = _lists(log, past, users, params)
    for number, domain in enumerate(domains):
        is_own = log.item_domain == number
        rest, _ = _lists(log, past.take(~is_own[past.item_code]), users, params)
        others = Slice(1, _left_out(is_own))
        met = others.relevant(panel, relevant)
        chosen = np.flatnonzero(others.users(panel) & (met.sizes > 0))
        for source in OFFER_SOURCES:
            both = [_ndcg(others, panel, met, lists[source], k=params.k)[chosen] for lists in (whole, rest)]
            yield _compared(domain, f"offers {source}", *both)


def ablate_products(
    cases: ProductCases, *, k: int, booster: BoosterParams, seed: int, threads: int
) -> Iterator[Ablation]:
    """For every domain of behaviour that has features."""
    whole = _product_ndcg(cases, k=k, booster=booster, seed=seed, threads=threads)
    for domain in Domain:
        less = without_domain(cases, domain)
        if less.feature_names != cases.feature_names:
            rest = _product_ndcg(less, k=k, booster=booster, seed=seed, threads=threads)
            yield _compared(domain, "products ranked", whole, rest)


def without_domain(cases: ProductCases, domain: Domain) -> ProductCases:
    """The cases less the features and pair signals of a domain."""
    kept, names = _others(cases.feature_names, f"f_{domain}_")
    kept_pairs, pair_names = _others(cases.pair_names, f"f_pair_{domain}_")

    def less(users: LabelledUsers) -> LabelledUsers:
        return replace(users, features=users.features[:, kept], pairs=users.pairs[:, :, kept_pairs])

    return ProductCases(less(cases.train), less(cases.test), names, pair_names)


def _others(names: Sequence[str], prefix: str) -> tuple[list[int], tuple[str, ...]]:
    kept = [number for number, name in enumerate(names) if not name.startswith(prefix)]
    return kept, tuple(names[number] for number in kept)


def _lists(log: OfferLog, past: Events, users: Longs, params: BacktestParams) -> tuple[Mapping[str, Ints], Panel]:
    history = build_history(past, as_of=params.cut)
    panel = Panel(history.for_users(users), head=head_items(history), n_items=len(log.item_ids))
    night = night_lists(log, past, history, panel, seed=params.seeds[0], params=params, labels=(_LABEL,))
    return night[_LABEL].lists, panel


def _left_out(is_own: Mask) -> Callable[[Panel, Ints], Mask]:
    return lambda _, codes: is_own[codes] & (codes != NO_ITEM)


def _ndcg(others: Slice, panel: Panel, met: Relevant, codes: Ints, *, k: int) -> Doubles:
    return ndcg(met.hits(others.lists(panel, codes)[:, :k]), met.sizes)


def _product_ndcg(cases: ProductCases, *, k: int, booster: BoosterParams, seed: int, threads: int) -> Doubles:
    """Of test users who opened an eligible product, by the calibrated probability alone; NaN for the others.

    Each is asked of the half of the ranker that has not learned from them. The calibrator, two numbers a family, is
    fitted on the test users too, alike for every side.
    """
    ranker = train_on(cases.seen(cases.train), cases.seen(cases.test), params=booster, seed=seed, threads=threads)
    test = cases.test
    n, products = test.eligible.shape
    lists = best_products(told_to_strangers(ranker, test, cases.feature_names), test.eligible, k=min(k, products))
    rows, codes = np.nonzero(test.labels & test.eligible)
    relevant = Relevant.of(rows, codes, n_users=n, n_items=products)
    return ndcg(relevant.hits(lists), relevant.sizes)


def _compared(domain: Domain, model: str, whole: Doubles, rest: Doubles) -> Ablation:
    columns = np.stack([whole, rest, whole - rest], axis=1)
    return Ablation(domain, model, *bootstrap(columns[np.isfinite(columns).all(axis=1)], seed=_SEED))
