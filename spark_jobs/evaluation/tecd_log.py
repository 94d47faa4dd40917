"""T-ECD day files as offer events in memory, for the backtest: discovered and checked by ingest, read without Spark.

Each decision on what a row means is ingest's or the vocabulary's (`find_deliveries`, `check_deliveries`,
`ACTION_SPELLINGS`); this only applies them with Arrow: unknown actions, nulls and rows outside their day are left
out, exact repetitions count once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_contracts.columns import ACTION, ITEM_ID, USER_ID
from data_contracts.errors import InputError
from data_contracts.night import NightParams, Sources
from data_contracts.vocabulary import ACTION_SPELLINGS, Domain
from spark_jobs.candidates.content import BRAND_ID, CONTENT_COLUMNS, EMBEDDING, ItemContent, content_of
from spark_jobs.features.history import ACTION_CODES, Events, Longs
from spark_jobs.features.item_features import ItemAttributes
from spark_jobs.features.offer_tables import Strings, attributes_of
from spark_jobs.ingest.contents import Checked, check_deliveries
from spark_jobs.ingest.deliveries import find_deliveries
from spark_jobs.lake.files import file_system

MICROSECONDS_PER_DAY = 86_400_000_000
_EVENT_COLUMNS = ["timestamp", USER_ID, ITEM_ID, "action_type"]
_EMBEDDED = {ITEM_ID: pa.string(), BRAND_ID: pa.int64(), EMBEDDING: pa.list_(pa.float32())}
_USER_COLUMNS = [USER_ID, "socdem_cluster"]
_ITEM_COLUMNS = [ITEM_ID, "brand_id", "category", "subcategory", "price"]


@dataclass(frozen=True)
class Clusters:
    """T-ECD's socio-demographic clusters, int16, of the users (ascending) of whom one is known."""

    user_ids: Longs = field(default_factory=lambda: np.empty(0, np.int64))
    numbers: npt.NDArray[np.int16] = field(default_factory=lambda: np.empty(0, np.int16))

    def of(self, user_ids: Longs) -> npt.NDArray[np.int16]:
        """-1 where it is not known."""
        at = np.searchsorted(self.user_ids, user_ids)
        known = np.append(self.user_ids, -1)[at] == user_ids
        return np.where(known, np.append(self.numbers, np.int16(-1))[at], np.int16(-1))


@dataclass(frozen=True)
class OfferLog:
    """Events with item codes, time in microseconds since T-ECD's day 0.

    Codes up to `n_items` are items known at the cut, in item_id order; later ones were first met after it.
    item_domain int8: the position, among the domains read, of the one an item was met in; -1 for none.
    """

    events: Events
    item_ids: Strings
    n_items: int
    attributes: ItemAttributes
    content: ItemContent = field(default_factory=ItemContent)
    item_domain: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, dtype=np.int8))
    clusters: Clusters = field(default_factory=Clusters)


def read_tecd(folder: str, *, domains: Sequence[Domain], test_day: int, cut: int) -> OfferLog:
    """All days up to and with `test_day`. Raises InputError for a missing folder, day, or broken file."""
    dates = NightParams(as_of="2000-01-01", lake="", sources=Sources(tecd=folder))
    params = dates.model_copy(update={"as_of": dates.tecd_date(test_day + 1), "offer_domains": tuple(domains)})
    checked = check_deliveries(find_deliveries(params))
    wanted = {f"{domain.value}_events" for domain in domains}
    days = [one for one in checked if one.delivery.source.name in wanted and one.rows]
    if not any(one.delivery.day == params.tecd_date(test_day) for one in days):
        raise InputError(
            f"{folder}: no events of day {test_day} in {', '.join(sorted(wanted))}; choose another --test-day"
        )
    named = {f"{domain.value}_events": position for position, domain in enumerate(domains)}
    frames = [_events(one, params).assign(domain=np.int8(named[one.delivery.source.name])) for one in days]
    rows = pd.concat(frames, ignore_index=True).drop_duplicates(ignore_index=True)
    of_items = [one for one in checked if one.delivery.source.name in {f"{domain.value}_items" for domain in domains}]
    items = _items(of_items)
    is_known = rows["time"] < cut
    known = np.unique(np.concatenate([rows.loc[is_known, ITEM_ID].to_numpy(np.str_), items.index.to_numpy(np.str_)]))
    later = np.setdiff1d(rows.loc[~is_known, ITEM_ID].to_numpy(np.str_), known)
    item_ids = np.concatenate([known, later])
    content = content_of(_embeddings(of_items, CONTENT_COLUMNS), _brands(checked), known)
    events = _coded(rows, item_ids)
    item_domain = np.full(len(item_ids), -1, dtype=np.int8)  # of items that nobody met
    item_domain[events.item_code] = rows["domain"]
    return OfferLog(events, item_ids, len(known), attributes_of(items, known), content, item_domain, _clusters(checked))


def _events(one: Checked, params: NightParams) -> pd.DataFrame:
    """user_id, item_id, action (code), time."""
    if one.delivery.day is None:
        raise ValueError(f"{one.delivery.source.name} has no days")
    start = params.tecd_day(one.delivery.day) * MICROSECONDS_PER_DAY
    rows = pd.concat([_read(content.file.uri, _EVENT_COLUMNS) for content in one.contents])
    codes = {spelling: ACTION_CODES[action] for spelling, action in ACTION_SPELLINGS.items()}
    rows[ACTION] = rows["action_type"].map(codes)
    rows["time"] = _microseconds(rows["timestamp"])
    is_good = rows[[USER_ID, ITEM_ID, ACTION, "time"]].notna().all(axis=1)
    good = rows[is_good & (rows["time"] >= start) & (rows["time"] < start + MICROSECONDS_PER_DAY)]
    return good[[USER_ID, ITEM_ID, ACTION, "time"]].astype({USER_ID: "int64", ACTION: "int8", "time": "int64"})


def _microseconds(offsets: pd.Series) -> pd.Series:
    """Durations or whole microseconds, as float64 with NaN for null."""
    is_duration = pd.api.types.is_timedelta64_dtype(offsets)
    return offsets.dt.total_seconds().mul(1e6).round() if is_duration else offsets.astype("float64")


def _items(deliveries: Iterable[Checked]) -> pd.DataFrame:
    """The delivered items by item_id, first come first kept; missing columns are unknown."""
    frames = [_read(content.file.uri, _ITEM_COLUMNS) for one in deliveries for content in one.contents]
    together = pd.concat([pd.DataFrame(columns=_ITEM_COLUMNS), *frames]).drop_duplicates(ITEM_ID)
    return together.dropna(subset=ITEM_ID).set_index(ITEM_ID)


def _clusters(checked: Iterable[Checked]) -> Clusters:
    """Of `users.pq`, where it was delivered; first come first kept."""
    users = [one for one in checked if one.delivery.source.name == "users"]
    frames = [_read(content.file.uri, _USER_COLUMNS) for one in users for content in one.contents]
    if not frames:
        return Clusters()
    told = pd.concat(frames).dropna().drop_duplicates(USER_ID)
    ordered = told.astype({USER_ID: "int64", "socdem_cluster": "int16"}).sort_values(USER_ID)
    return Clusters(ordered[USER_ID].to_numpy(), ordered["socdem_cluster"].to_numpy())


def _brands(checked: Iterable[Checked]) -> pa.Table:
    """brand_id, embedding: the first of each brand that has one."""
    rows = _embeddings((one for one in checked if one.delivery.source.name == "brands"), (BRAND_ID, EMBEDDING))
    some = rows.filter(pc.greater(pc.list_value_length(rows.column(EMBEDDING)), 0))
    _, first = np.unique(some.column(BRAND_ID).to_numpy(), return_index=True)
    return some.take(pa.array(np.sort(first)))


def _embeddings(deliveries: Iterable[Checked], columns: Sequence[str]) -> pa.Table:
    """Columns as delivered, in our types; rows without a key are left out."""
    schema = pa.schema([(name, _EMBEDDED[name]) for name in columns])
    tables = [schema.empty_table()]
    for content in (content for one in deliveries for content in one.contents):
        system, path = file_system(content.file.uri)
        with pq.ParquetFile(system.open_input_file(path)) as parquet:
            tables.append(parquet.read(list(columns)).select(columns).cast(schema, safe=False))
    rows = pa.concat_tables(tables)
    return rows.filter(pc.is_valid(rows.column(columns[0])))


def _read(uri: str, columns: Sequence[str]) -> pd.DataFrame:
    system, path = file_system(uri)
    with pq.ParquetFile(system.open_input_file(path)) as parquet:
        present = [name for name in columns if name in parquet.schema_arrow.names]
        frame: pd.DataFrame = parquet.read(present).to_pandas()
    return frame


def _coded(rows: pd.DataFrame, item_ids: Strings) -> Events:
    codes = pd.Index(item_ids).get_indexer(pd.Index(rows[ITEM_ID]))
    return Events(
        user_id=rows[USER_ID].to_numpy(np.int64),
        item_code=codes.astype(np.int32),
        action=rows[ACTION].to_numpy(np.int8),
        time=rows["time"].to_numpy(np.int64),
        weight=np.ones(len(rows), dtype=np.float32),
    )
