"""The backtest on anybody's interactions: two Parquet files, train and test, for the retrieval sources and their blend.

With seen items left out, recall@20 and NDCG@20 averaged over test users are the protocol of He et al., "LightGCN:
Simplifying and Powering Graph Convolution Network for Recommendation", 2020, and the papers that follow it. With one
item a user in test and candidates to choose among, HR@10 and NDCG@10 are that of He et al., "Neural Collaborative
Filtering", 2017. Without a test, everybody's last item is held out of train: so hyperparameters are chosen without a
look at the test. The weights of `fused` are learned on what is held out of train as the test was of all: everybody's
last item, or as large a share of each history. They are one set for all, learned from as many short, middle and long
histories: on Gowalla's train weights of each length's own were no better on users they were not learned from.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.columns import ITEM_ID, USER_ID, WEIGHT
from data_contracts.errors import InputError
from data_contracts.vocabulary import Action
from spark_jobs.candidates.base import Candidates, RetrievalModel
from spark_jobs.candidates.blend import blend
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.candidates.retrieval import fit_retrieval, user_block
from spark_jobs.candidates.sources import SOURCES
from spark_jobs.evaluation.fusion import learned_weights
from spark_jobs.evaluation.metrics import METRICS, Doubles, Relevant
from spark_jobs.evaluation.slices import without
from spark_jobs.features.history import ACTION_CODES, Events, Floats, Ints, Longs, UserHistory, build_history
from spark_jobs.lake.files import file_system

NAMES = {"popular": "popular", "repeat": "repeat", "als": "als", "item_item": "itemcf"}
TIMESTAMP = "timestamp"
# Items from which on a history is middle, and long.
MIDDLE_ITEMS, LONG_ITEMS = 16, 64
_USERS_AT_ONCE = 1024
_THREADS = 2
# Lists that are blended are at least so long.
_BLENDED = 100
# Users of each length that the weights of a fusion are learned from, at most.
_MOST_LEARNED = 2000
# Defaults where, unlike in a bank's night, nothing is known of time: where two public data sets differ in what was held
# out of train (`recs bench retrieval` says what each wants), between them.
FILE_RETRIEVAL = RetrievalParams(
    als_factors=64,
    als_regularization=30.0,
    als_min_users=1,
    neighbours=50,
    popularity_exponent=0.5,
    activity_exponent=1.0,
    neighbours_of="proposed",
    neighbour_exponent=1.0,
    neighbours_centred=True,
    recency_half_life=1e9,
    popular_half_life=float("inf"),
)

# Source -> metric@k -> its mean over the test's users, by seed.
SourceFigures = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True)
class FilesReport:
    """sizes int64 [U]: items in each test user's history. figures: source -> metric@k -> by seed, float64 [U]."""

    sizes: Longs
    figures: Mapping[str, Mapping[str, Sequence[Doubles]]]

    def means(self) -> SourceFigures:
        return {
            source: {name: [float(np.nanmean(values)) for values in by_seed] for name, by_seed in metrics.items()}
            for source, metrics in self.figures.items()
        }


@dataclass(frozen=True)
class _Test:
    """Everybody's history; of the U tested users (`panel`), what they met later and, if so, among what they choose."""

    history: UserHistory
    panel: UserHistory
    relevant: Relevant
    choice: Relevant | None
    n_items: int

    def of(self, users: Longs) -> "_Test":
        """The test of some users only, by position, ascending."""
        choice = None if self.choice is None else self.choice.of_users(users)
        panel = self.panel.for_users(self.panel.user_ids[users])
        return _Test(self.history, panel, self.relevant.of_users(users), choice, self.n_items)


def backtest_files(
    train: str,
    test: str | None = None,
    *,
    candidates: str | None = None,
    k: int = 20,
    exclude_seen: bool = False,
    retrieval: RetrievalParams = FILE_RETRIEVAL,
    seeds: Sequence[int] = (7,),
) -> FilesReport:
    """candidates: a file of what each user chooses among, beside what they met later; None for all items of train.

    Raises InputError for a broken or unfit file.
    """
    past = _read(train)
    past, future = hold_out(past, seed=seeds[0]) if test is None else (past, _read(test))
    given = None if candidates is None else _read(candidates)
    share = 0.0 if future[USER_ID].is_unique else len(future) / (len(past) + len(future))
    case = _test(past, future, given)
    figures: dict[str, dict[str, list[Doubles]]] = defaultdict(lambda: defaultdict(list))
    for seed in seeds:
        weights = _weights(past, given, share=share, k=k, exclude_seen=exclude_seen, retrieval=retrieval, seed=seed)
        found = _found(case, k=k, exclude_seen=exclude_seen, retrieval=retrieval, seed=seed)
        for source, codes in _lists(found, weights, k=k).items():
            hits = case.relevant.hits(codes)
            for name, measure in METRICS.items():
                figures[source][f"{name}@{k}"].append(measure(hits, case.relevant.sizes))
    return FilesReport(case.panel.sizes, figures)


def hold_out(frame: pd.DataFrame, *, seed: int, share: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rest, and so large a share of everybody's rows, the last ones, drawn where times are the same.

    It is one row at least, but who has a single row keeps it. Raises InputError where nobody has a second row.
    """
    drawn = frame.iloc[np.random.default_rng(seed).permutation(len(frame))]
    drawn = drawn.iloc[np.argsort(_microseconds(drawn), kind="stable")]
    rows = drawn.groupby(USER_ID)[USER_ID]
    many, behind = rows.transform("size"), rows.cumcount(ascending=False)
    is_last = behind < (share * many).round().clip(lower=1).clip(upper=many - 1)
    if not is_last.any():
        raise InputError(f"{len(frame)} rows, one a user: there is no last one to hold out of the rest")
    return drawn[~is_last], drawn[is_last]


def _test(past: pd.DataFrame, future: pd.DataFrame, given: pd.DataFrame | None) -> _Test:
    """Raises InputError for tested users without candidates, where some are given."""
    item_ids = pd.Index(past[ITEM_ID].unique()).sort_values()
    named = future if given is None else pd.concat([future, given])
    all_ids = item_ids.append(pd.Index(named[ITEM_ID].unique()).difference(item_ids))
    events = _events(past, item_ids)
    history = build_history(events, as_of=int(events.time.max()) + 1, max_items=len(item_ids))
    users = np.unique(future[USER_ID].to_numpy(np.int64))
    relevant = _pairs(future, users, all_ids)
    choice = None if given is None else _pairs(named[named[USER_ID].isin(users)], users, all_ids)
    if choice is not None and (lacking := int((choice.sizes <= relevant.sizes).sum())):
        raise InputError(f"{lacking} of {len(users)} tested users have no candidates beside what they met")
    return _Test(history, history.for_users(users), relevant, choice, len(item_ids))


def _pairs(frame: pd.DataFrame, users: Longs, item_ids: pd.Index) -> Relevant:
    rows = np.searchsorted(users, frame[USER_ID].to_numpy(np.int64))
    codes = item_ids.get_indexer(pd.Index(frame[ITEM_ID]))
    return Relevant.of(rows, codes, n_users=len(users), n_items=len(item_ids))


def _weights(
    past: pd.DataFrame,
    given: pd.DataFrame | None,
    *,
    share: float,
    k: int,
    exclude_seen: bool,
    retrieval: RetrievalParams,
    seed: int,
) -> Floats:
    """Of the sources, float32 [sources]: learned on a share of the past that is held out.

    Where nobody has a second item, all are alike.
    """
    if not past.duplicated(USER_ID).any():
        return np.ones(len(SOURCES), dtype=np.float32)
    draws = np.random.default_rng(seed)
    rest, held = hold_out(past, seed=seed, share=share)
    case = _test(rest, held, None if given is None else _drawn(rest, held, given, draws))
    length = np.digitize(case.panel.sizes, (MIDDLE_ITEMS, LONG_ITEMS))
    members = [np.flatnonzero(length == number) for number in range(3)]
    case = case.of(np.sort(np.concatenate([draws.permutation(users)[:_MOST_LEARNED] for users in members])))
    found = _found(case, k=k, exclude_seen=exclude_seen, retrieval=retrieval, seed=seed)
    return learned_weights([_ranked(codes) for codes in found.values()], case.relevant, k=k)


def _drawn(past: pd.DataFrame, future: pd.DataFrame, given: pd.DataFrame, draws: np.random.Generator) -> pd.DataFrame:
    """Items drawn alike for each user of `future`, as many as the given candidates are on average."""
    users = future[USER_ID].unique()
    many = max(round(len(given) / given[USER_ID].nunique()), 1)
    items = draws.choice(past[ITEM_ID].unique(), len(users) * many)
    return pd.DataFrame({USER_ID: np.repeat(users, many), ITEM_ID: items})


def _lists(found: Mapping[str, Ints], weights: Floats, *, k: int) -> dict[str, Ints]:
    """Weights [sources]: of the fusion."""
    blends = []
    for start in range(0, len(next(iter(found.values()))), _USERS_AT_ONCE):
        lists = [_ranked(codes[start : start + _USERS_AT_ONCE]) for codes in found.values()]
        told = np.tile(weights, (len(lists[0].codes), 1))
        blends.append((blend(lists, k).codes, blend(lists, k, weights=told).codes))
    equal, fused = (np.concatenate(parts) for parts in zip(*blends, strict=True))
    return {**{name: codes[:, :k] for name, codes in found.items()}, "blend": equal, "fused": fused}


def _ranked(codes: Ints) -> Candidates:
    """Lists of which only the order is told."""
    return Candidates(codes, np.zeros(codes.shape, dtype=np.float32))


def _found(case: _Test, *, k: int, exclude_seen: bool, retrieval: RetrievalParams, seed: int) -> dict[str, Ints]:
    """Every source's list of each tested user, as long as a blend wants it."""
    if case.choice is not None:
        retrieval = retrieval.model_copy(update={"popular": case.n_items})
    model = fit_retrieval(case.history, n_items=case.n_items, params=retrieval, seed=seed, threads=_THREADS)
    parts = list(_blocks(case, model, k=max(k, _BLENDED), exclude_seen=exclude_seen))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _blocks(case: _Test, model: RetrievalModel, *, k: int, exclude_seen: bool) -> Iterator[dict[str, Ints]]:
    for start in range(0, len(case.panel), _USERS_AT_ONCE):
        block = user_block(case.panel.block(start, start + _USERS_AT_ONCE), model)
        seen = Relevant.of(block.history.rows, block.history.item_code, n_users=len(block), n_items=model.n_items)
        longest = k + (int(seen.sizes.max(initial=0)) if exclude_seen else 0)
        found = {}
        for name, source in SOURCES.items():
            codes = source(block, model, longest if case.choice is None else model.n_items).codes
            if exclude_seen:
                codes = without(codes, seen.hits(codes))
            if case.choice is not None:
                choice = case.choice.of_users(np.arange(start, start + len(block)))
                codes = without(codes, ~choice.hits(codes))
            found[NAMES[name]] = codes[:, :k]
        yield found


def _read(path: str) -> pd.DataFrame:
    system, local = file_system(path)
    try:
        table = pq.read_table(local, filesystem=system)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file: {error}") from error
    missing = [name for name in (USER_ID, ITEM_ID) if name not in table.column_names]
    if missing:
        raise InputError(
            f"{path}: {table.num_rows} rows without column {', '.join(missing)}; found: {table.column_names}"
        )
    if not pa.types.is_integer(table.schema.field(USER_ID).type):
        raise InputError(
            f"{path}: {table.num_rows} rows whose user_id is {table.schema.field(USER_ID).type}, not int64"
        )
    frame: pd.DataFrame = table.to_pandas()
    if frame.empty or frame[[USER_ID, ITEM_ID]].isna().any(axis=None):
        raise InputError(f"{path}: {len(frame)} rows; user_id and item_id must be there and never null")
    return frame


def _events(frame: pd.DataFrame, item_ids: pd.Index) -> Events:
    codes: npt.NDArray[np.int64] = item_ids.get_indexer(pd.Index(frame[ITEM_ID]))
    weight = frame[WEIGHT] if WEIGHT in frame else pd.Series(1.0, index=frame.index)
    return Events(
        user_id=frame[USER_ID].to_numpy(np.int64),
        item_code=codes.astype(np.int32),
        action=np.full(len(frame), ACTION_CODES[Action.VIEW], dtype=np.int8),
        time=_microseconds(frame),
        weight=weight.to_numpy(np.float32),
    )


def _microseconds(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Times in microseconds: timestamps, or numbers of seconds; 0 where the file says nothing."""
    if TIMESTAMP not in frame:
        return np.zeros(len(frame), dtype=np.int64)
    times = frame[TIMESTAMP]
    if pd.api.types.is_datetime64_any_dtype(times):
        return times.to_numpy("datetime64[us]").astype(np.int64)
    return (times.to_numpy(np.float64) * 1e6).astype(np.int64)
