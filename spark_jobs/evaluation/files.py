"""The backtest on anybody's interactions: two Parquet files, train and test, for the retrieval sources and their blend.

With seen items left out, recall@20 and NDCG@20 averaged over test users are the protocol of He et al., "LightGCN:
Simplifying and Powering Graph Convolution Network for Recommendation", 2020, and the papers that follow it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.columns import ITEM_ID, USER_ID, WEIGHT
from data_contracts.errors import InputError
from data_contracts.vocabulary import Action
from spark_jobs.candidates.base import Candidates, RetrievalModel, RetrievalParams
from spark_jobs.candidates.blend import blend
from spark_jobs.candidates.retrieval import fit_retrieval, user_block
from spark_jobs.candidates.sources import SOURCES
from spark_jobs.evaluation.metrics import METRICS, Relevant
from spark_jobs.evaluation.slices import without
from spark_jobs.features.history import ACTION_CODES, Events, Ints, UserHistory, build_history
from spark_jobs.lake.files import file_system

NAMES = {"popular": "popular", "repeat": "repeat", "als": "als", "item_item": "itemcf"}
TIMESTAMP = "timestamp"
_USERS_AT_ONCE = 1024
# Lists that are blended are at least so long.
_BLENDED = 100
# Defaults where, unlike in a bank's night, nothing is known of time.
FILE_RETRIEVAL = RetrievalParams(
    als_factors=64, als_min_users=1, neighbours=200, recency_half_life=1e9, popular_half_life=float("inf")
)

# Source -> metric@k -> its mean over the test's users, by seed.
SourceFigures = Mapping[str, Mapping[str, Sequence[float]]]


def backtest_files(
    train: str,
    test: str,
    *,
    k: int = 20,
    exclude_seen: bool = False,
    retrieval: RetrievalParams = FILE_RETRIEVAL,
    seeds: Sequence[int] = (7,),
) -> SourceFigures:
    """Raises InputError for a broken or unfit file."""
    past, future = _read(train), _read(test)
    item_ids = pd.Index(past[ITEM_ID].unique()).sort_values()
    later = pd.Index(future[ITEM_ID].unique()).difference(item_ids)
    events = _events(past, item_ids)
    as_of = int(events.time.max()) + 1
    history = build_history(events, as_of=as_of, max_items=len(item_ids))
    met = _events(future, item_ids.append(later))
    users = np.unique(met.user_id)
    relevant = Relevant.of(
        np.searchsorted(users, met.user_id), met.item_code, n_users=len(users), n_items=len(item_ids) + len(later)
    )
    panel = history.for_users(users)
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in seeds:
        model = fit_retrieval(history, n_items=len(item_ids), params=retrieval, seed=seed)
        for source, codes in _lists(panel, model, k=k, exclude_seen=exclude_seen).items():
            hits = relevant.hits(codes)
            for name, measure in METRICS.items():
                figures[source][f"{name}@{k}"].append(float(np.nanmean(measure(hits, relevant.sizes))))
    return figures


def _lists(history: UserHistory, model: RetrievalModel, *, k: int, exclude_seen: bool) -> dict[str, Ints]:
    parts = list(_blocks(history, model, k=k, exclude_seen=exclude_seen))
    return {source: np.concatenate([part[source] for part in parts]) for source in parts[0]}


def _blocks(history: UserHistory, model: RetrievalModel, *, k: int, exclude_seen: bool) -> Iterator[dict[str, Ints]]:
    for start in range(0, len(history), _USERS_AT_ONCE):
        block = user_block(history.block(start, start + _USERS_AT_ONCE), model)
        longest = max(k, _BLENDED) + (int(block.history.sizes.max(initial=0)) if exclude_seen else 0)
        found = {NAMES[name]: source(block, model, longest) for name, source in SOURCES.items()}
        if exclude_seen:
            seen = Relevant.of(block.history.rows, block.history.item_code, n_users=len(block), n_items=model.n_items)
            found = {
                name: Candidates(without(one.codes, seen.hits(one.codes)), one.scores) for name, one in found.items()
            }
        lists = {name: one.codes[:, :k] for name, one in found.items()}
        yield {**lists, "blend": blend(list(found.values()), k).codes}


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
