"""The gate passes a sound snapshot and names the fault of each broken one; sealing writes the manifest last."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import InputError
from data_contracts.manifest import MANIFEST_FILE, Manifest
from data_contracts.models import RANKERS, ModelVersion, NightModels
from data_contracts.night import NightParams, Sources
from spark_jobs.jobs import seal
from spark_jobs.lake.files import write_bytes
from spark_jobs.lake.snapshot_files import snapshot_before
from spark_jobs.lake.tables import table_uri
from spark_jobs.lifecycle.files import leave
from spark_jobs.monitoring import yesterday as yesterdays
from spark_jobs.monitoring.feature_drift import DRIFT, FAULTS, YESTERDAY, drift_rows
from spark_jobs.scoring.fallback import fallback_table, popular_products
from spark_jobs.scoring.gate import SnapshotTables, effective_number, judge
from spark_jobs.scoring.snapshot import PORTRAITS_SCHEMA, items_table, write_documents, write_small
from spark_jobs.scoring.stage import StageModels, Worth, WorthSum, score_batches
from tests.unit.quality_samples import fared
from tests.unit.quality_samples import leave as leave_quality
from tests.unit.scoring_samples import (
    AS_OF,
    CATALOGUE,
    POLICY,
    PRODUCTS,
    REASONS,
    RULES,
    product_models,
    users_table,
)

OFFERS = ["offer:1", "offer:2", "offer:3"]
FIRST_OFFER = len(CATALOGUE.products)
STATE = [
    "user_id",
    "segment",
    "holdings",
    "birth_year",
    "region",
    "income_band",
    "employment",
    "score_band",
    "arrears_days",
    "consents",
]
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def sound() -> dict[str, pa.Table]:
    users = users_table(60)
    worth = [Worth.nothing(0, FIRST_OFFER)]
    batches = list(
        score_batches(
            users.to_batches(),
            StageModels(product_models()),
            lambda more: worth.append(WorthSum().addInPlace(worth[-1], more)),
        )
    )
    lists = pa.Table.from_batches(batches).to_pylist()
    for number, row in enumerate(lists):
        offers = [FIRST_OFFER + number % 3, FIRST_OFFER + (number + 1) % 3]
        row |= {"offer_items": offers, "offer_scores": [900, 800], "offer_reasons": [0, 0]}
    rates = np.full((len(worth[-1].users), FIRST_OFFER), 0.01)
    products = popular_products(worth[-1], rates=rates, values=PRODUCTS.values, policy=POLICY)
    return {
        "lists": pa.Table.from_pylist(lists, schema=pa.Table.from_batches(batches).schema),
        "user_state": users.select(STATE),
        "fallback_lists": fallback_table(products, {}, reason=9),
    }


def _failures(tables: dict[str, pa.Table], blocked: tuple[int, ...] = (), *, offers: int = len(OFFERS)) -> set[str]:
    verdict = judge(
        SnapshotTables(
            lists=tables["lists"].to_batches(max_chunksize=17),
            user_state=tables["user_state"],
            fallback_lists=tables["fallback_lists"],
            items=FIRST_OFFER + offers,
        ),
        catalogue=CATALOGUE,
        policy=POLICY,
        blocked_offers=np.array(blocked, np.int64),
    )
    assert verdict.passed == (not verdict.failures)
    return {check.name for check in verdict.failures}


def changed(tables: dict[str, pa.Table], table: str, change: Callable[[Rows], Rows]) -> dict[str, pa.Table]:
    rows = change(tables[table].to_pylist())
    return {**tables, table: pa.Table.from_pylist(rows, schema=tables[table].schema)}


def _first_list(**values: Any) -> Callable[[Rows], Rows]:
    return lambda rows: [{**rows[0], **values}, *rows[1:]]


def test_a_sound_snapshot_passes(sound: dict[str, pa.Table]) -> None:
    assert _failures(sound) == set()


def _by_uplift(**values: Any) -> Callable[[Rows], Rows]:
    """Beside the personal lists, the first user's by uplift, in which the score rises."""
    rising = {"variant": "uplift", "offer_scores": [800, 900]}
    return lambda rows: [*rows, {**rows[0], **rising, **values}]


def test_lists_of_a_variant_keep_the_policy_and_may_be_in_another_order(sound: dict[str, pa.Table]) -> None:
    assert _failures(changed(sound, "lists", _by_uplift())) == set()
    assert _failures(changed(sound, "lists", _by_uplift(product_items=[4], **ONE_PRODUCT))) == {"policy"}
    assert _failures(changed(sound, "lists", _by_uplift(variant="challenger"))) == {"ordered_scores"}
    twice = changed(changed(sound, "lists", _by_uplift()), "lists", lambda rows: [*rows, rows[-1]])
    assert _failures(twice) == {"one_list_a_user"}


OFFER_PAIR = {"offer_scores": [900, 800], "offer_reasons": [0, 0]}
ONE_PRODUCT = {"product_scores": [900], "product_reasons": [0]}
NO_PRODUCTS: dict[str, list[int]] = {"product_items": [], "product_scores": [], "product_reasons": []}
NO_OFFERS: dict[str, list[int]] = {"offer_items": [], "offer_scores": [], "offer_reasons": []}
BROKEN_TABLES = {
    "coverage": ("lists", lambda rows: rows[:50]),
    "one_list_a_user": ("lists", lambda rows: [*rows, rows[0]]),
    "lists_have_state": ("user_state", lambda rows: rows[1:]),
    "no_list_unasked": ("user_state", lambda rows: [{**rows[0], "consents": 23}, *rows[1:]]),
    "one_state_a_user": ("user_state", lambda rows: [*rows, rows[0]]),
    "even_lists": ("lists", _first_list(offer_scores=[900])),
    "known_items": ("lists", _first_list(offer_items=[FIRST_OFFER, 99], **OFFER_PAIR)),
    "no_repeats": ("lists", _first_list(offer_items=[FIRST_OFFER, FIRST_OFFER], **OFFER_PAIR)),
    "ordered_scores": ("lists", _first_list(offer_scores=[800, 900])),
    "policy": ("lists", _first_list(product_items=[4], **ONE_PRODUCT)),
    "product_lists_filled": (
        "lists",
        lambda rows: [
            *rows[:20],
            *({**row, **NO_PRODUCTS} for row in rows[20:]),
        ],
    ),
    "offer_top_share": (
        "lists",
        lambda rows: [{**row, "offer_items": [FIRST_OFFER, FIRST_OFFER + 1]} for row in rows],
    ),
    "offer_variety": (
        "lists",
        lambda rows: [{**row, "offer_items": [FIRST_OFFER], "offer_scores": [9], "offer_reasons": [0]} for row in rows],
    ),
    "personal_share": ("lists", lambda rows: rows[:5]),
    "popular_list": ("fallback_lists", lambda rows: rows[:-1]),
    "fallback_items_known": ("fallback_lists", lambda rows: [{**rows[0], "offer_items": [-3]}, *rows[1:]]),
}


@pytest.mark.parametrize("fault", BROKEN_TABLES)
def test_each_fault_is_named(sound: dict[str, pa.Table], fault: str) -> None:
    table, change = BROKEN_TABLES[fault]
    assert fault in _failures(changed(sound, table, change))


def test_lists_are_not_held_to_the_size_of_the_catalogue(sound: dict[str, pa.Table]) -> None:
    assert _failures(sound, offers=100_000) == set()


def test_offers_listed_equally_often_count_whole_and_one_that_outweighs_them_hardly_more_than_itself() -> None:
    assert effective_number(np.full(7, 30)) == pytest.approx(7)
    assert 1 < effective_number(np.array([10_000, 1, 1])) < 1.01


def test_a_product_list_longer_than_twenty_is_refused(sound: dict[str, pa.Table]) -> None:
    long = {"offer_items": [FIRST_OFFER] * 21, "offer_scores": [1] * 21, "offer_reasons": [0] * 21}
    assert "offer_list_length" in _failures(changed(sound, "lists", _first_list(**long)))


def test_a_blocked_offer_on_a_list_is_against_the_policy(sound: dict[str, pa.Table]) -> None:
    assert _failures(sound, blocked=(FIRST_OFFER + 2,)) == {"policy"}


@pytest.mark.parametrize(
    ("listed", "blocked"), [({"product_items": [4]}, ()), ({"offer_items": [6]}, (6,))], ids=["withdrawn", "blocked"]
)
def test_what_nobody_may_be_shown_is_against_the_policy_on_a_fallback_list_too(
    sound: dict[str, pa.Table], listed: dict[str, list[int]], blocked: tuple[int, ...]
) -> None:
    lists = changed(sound, "lists", lambda rows: [{**row, **NO_OFFERS} for row in rows]) if blocked else sound
    fallback = changed(lists, "fallback_lists", lambda rows: [{**rows[0], **listed}, *rows[1:]])
    assert "policy" not in _failures(lists, blocked)
    assert "policy" in _failures(fallback, blocked)


@pytest.mark.parametrize(
    ("nothing", "kind"), [(NO_PRODUCTS, "product"), (NO_OFFERS, "offer")], ids=["product", "offer"]
)
def test_a_kind_that_the_snapshot_has_and_no_list_holds_is_a_fault(
    sound: dict[str, pa.Table], nothing: dict[str, list[int]], kind: str
) -> None:
    bare = changed(sound, "lists", lambda rows: [{**row, **nothing} for row in rows])
    assert _failures(bare) == {f"{kind}_lists_filled"}


def test_a_kind_of_which_nothing_may_be_shown_is_asked_of_no_list(sound: dict[str, pa.Table]) -> None:
    bare = changed(sound, "lists", lambda rows: [{**row, **NO_OFFERS} for row in rows])
    assert _failures(bare, offers=0) == set()
    assert _failures(bare, blocked=tuple(range(FIRST_OFFER, FIRST_OFFER + len(OFFERS)))) == set()


def test_where_there_are_no_customers_everybody_has_a_list(sound: dict[str, pa.Table]) -> None:
    nobody = changed(sound, "user_state", lambda rows: [{**row, "consents": 0} for row in rows])
    assert "coverage" not in _failures(nobody)
    assert "no_list_unasked" not in _failures(nobody)


@pytest.fixture
def params(tmp_path: Path) -> NightParams:
    return NightParams(as_of=AS_OF, lake=str(tmp_path / "lake"), sources=Sources(reference="unread"))


def write_snapshot(sound: dict[str, pa.Table], params: NightParams) -> None:
    for name, table in sound.items():
        write_small(table, params.snapshot_uri, name)
    write_small(items_table(CATALOGUE, OFFERS), params.snapshot_uri, "items")
    write_small(PORTRAITS_SCHEMA.empty_table(), params.snapshot_uri, "portraits")
    best = {"variant": "personal", "item": 0, "shortfall": 5, "user_id": 7, "score": 65_530}
    write_small(pa.Table.from_pylist([best]), params.snapshot_uri, "audience_pool")
    write_documents(params.snapshot_uri, catalogue=CATALOGUE, rules=RULES, reasons=REASONS)


def _manifest(params: NightParams) -> Manifest:
    return Manifest.from_json((Path(params.snapshot_uri) / MANIFEST_FILE).read_text())


def _stopped(params: NightParams) -> str:
    """Seals; why the snapshot may not be shown."""
    return str(seal.run(params).tables["manifest"].details["stopped"])


def test_sealing_writes_counts_checksums_and_verdict(sound: dict[str, pa.Table], params: NightParams) -> None:
    write_snapshot(sound, params)
    seal.run(params)
    manifest = _manifest(params)
    assert manifest.gate.passed
    assert {name: table.rows for name, table in manifest.tables.items()} == {
        "lists": 60,
        "fallback_lists": 4,
        "user_state": 60,
        "items": 8,
        "portraits": 0,
        "audience_pool": 1,
    }
    assert (manifest.versions.catalogue, manifest.versions.rules) == ("1", "1")


def test_the_manifest_names_the_versions_that_scored_and_the_gate_asks_for_their_auc(
    sound: dict[str, pa.Table], params: NightParams
) -> None:
    known = ModelVersion(
        name="products",
        version=4,
        as_of=AS_OF - timedelta(days=3),
        uri="unread",
        files={},
        features=(),
        contracts={},
        settings={},
    )
    leave(params, NightModels(train=False, why="champion", used={"products": known}))
    leave_quality(params.models_uri, products=fared({"card": 500}, auc=0.7), offers=fared({"offers": 40}, auc=0.5))
    assert _sealed(sound, params)["product_auc"] == 0.7
    assert "offer_auc" not in _sealed(sound, params)  # so few say nothing
    assert _manifest(params).versions.registered == {"products": known.told}


def test_sealing_twice_gives_the_same_checksums(sound: dict[str, pa.Table], params: NightParams) -> None:
    write_snapshot(sound, params)
    seal.run(params)
    first = _manifest(params)
    pq.write_table(sound["lists"].slice(0, 30), Path(params.snapshot_uri) / "lists" / "part-00000.parquet")
    pq.write_table(sound["lists"].slice(30), Path(params.snapshot_uri) / "lists" / "part-00001.parquet")
    seal.run(params)
    assert _manifest(params).tables == first.tables


def test_a_failed_gate_names_its_checks_and_keeps_the_verdict(sound: dict[str, pa.Table], params: NightParams) -> None:
    write_snapshot(changed(sound, "lists", lambda rows: rows[:30]), params)
    assert "coverage 0.5" in _stopped(params)
    assert not _manifest(params).gate.passed


def _sealed(sound: dict[str, pa.Table], params: NightParams, *, offers: list[str] | None = None) -> dict[str, float]:
    write_snapshot(sound, params)
    if offers:
        write_small(items_table(CATALOGUE, offers), params.snapshot_uri, "items")
    seal.run(params)
    return {check.name: check.value or 0.0 for check in _manifest(params).gate.checks}


@pytest.fixture
def yesterday(sound: dict[str, pa.Table], params: NightParams, monkeypatch: pytest.MonkeyPatch) -> NightParams:
    monkeypatch.setattr(yesterdays, "FEWEST_USERS", 20)
    before = params.model_copy(update={"as_of": AS_OF - timedelta(days=1)})
    assert "product_overlap" not in _sealed(sound, before)
    return before


@pytest.mark.usefixtures("yesterday")
def test_the_same_lists_as_yesterday_overlap_wholly_though_items_have_other_codes(
    sound: dict[str, pa.Table], params: NightParams
) -> None:
    renumbered = {code: FIRST_OFFER + len(OFFERS) - 1 - (code - FIRST_OFFER) for code in range(FIRST_OFFER, 8)}
    change = changed(
        sound,
        "lists",
        lambda rows: [{**row, "offer_items": [renumbered[code] for code in row["offer_items"]]} for row in rows],
    )
    values = _sealed(change, params, offers=OFFERS[::-1])
    assert {name: values[name] for name in ("product_overlap", "offer_overlap")} == pytest.approx(
        {"product_overlap": 1.0, "offer_overlap": 1.0}
    )
    assert values["product_score_drift"] == values["offer_score_drift"] == 0.0


@pytest.mark.usefixtures("yesterday")
def test_lists_that_turned_over_in_a_night_are_stopped(sound: dict[str, pa.Table], params: NightParams) -> None:
    turned = changed(
        sound,
        "lists",
        lambda rows: [
            {**row, "product_items": [0], "product_scores": [60_000], "product_reasons": [0]} for row in rows
        ],
    )
    write_snapshot(turned, params)
    assert "product_score_drift" in _stopped(params)
    assert _manifest(params).gate.checks


def test_a_stopped_snapshot_is_nobodys_yesterday(
    sound: dict[str, pa.Table], yesterday: NightParams, params: NightParams
) -> None:
    worse = yesterday.model_copy(update={"attempt": 2})
    write_snapshot(changed(sound, "lists", lambda rows: rows[:30]), worse)
    assert _stopped(worse)
    assert snapshot_before(params.lake, AS_OF) == yesterday.snapshot_uri


def test_an_unfinished_folder_is_not_sealed(sound: dict[str, pa.Table], params: NightParams) -> None:
    write_snapshot(sound, params)
    (Path(params.snapshot_uri) / "rules.json").unlink()
    with pytest.raises(InputError, match=r"no rules\.json"):
        seal.run(params)
    assert not (Path(params.snapshot_uri) / MANIFEST_FILE).exists()


AMOUNTS = np.random.default_rng(5).lognormal(8, 1, 2_000).astype(np.float32)
BREAKAGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "features_missing": lambda values: np.where(np.arange(len(values)) % 2, values, np.nan),
    "features_stuck": np.zeros_like,
    "features_rescaled": lambda values: values * 100,
    "features_drifted": lambda values: values * 3,
}


def _write_drift(params: NightParams, now: np.ndarray) -> None:
    """Tonight's rows of `gold.feature_drift`, of more features than may drift, as one commit of Delta."""
    names = [f"f_{number:02}" for number in range(21)]
    then, tonight = (pa.table(dict.fromkeys(names, values.astype(np.float32))) for values in (AMOUNTS, now))
    rows = drift_rows(then, tonight, against=YESTERDAY, base=AS_OF - timedelta(days=3))
    file = f"as_of={AS_OF}/part-0.parquet"
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows)), sink)
    added = {"path": file, "partitionValues": {"as_of": AS_OF.isoformat()}, "size": 1}
    write_bytes(f"{table_uri(params.lake, DRIFT)}/{file}", sink.getvalue().to_pybytes())
    write_bytes(f"{table_uri(params.lake, DRIFT)}/_delta_log/{0:020d}.json", json.dumps({"add": added}).encode())


def test_features_like_those_of_the_last_good_night_pass(sound: dict[str, pa.Table], params: NightParams) -> None:
    _write_drift(params, AMOUNTS)
    values = _sealed(sound, params)
    assert {name: values[name] for name in FAULTS} == dict.fromkeys(FAULTS, 0)
    assert _manifest(params).gate.passed


@pytest.mark.parametrize("fault", BREAKAGES)
def test_a_planted_breakage_of_features_stops_the_snapshot_by_its_name(
    sound: dict[str, pa.Table], params: NightParams, fault: str
) -> None:
    _write_drift(params, BREAKAGES[fault](AMOUNTS))
    write_snapshot(sound, params)
    assert f"{fault} 21 (features since 2026-03-13: f_00, f_01" in _stopped(params)
    assert not _manifest(params).gate.passed


@pytest.mark.parametrize(("positives", "passed"), [(2_600, True), (700, False), (0, False), (9_000, False)])
@pytest.mark.parametrize("kind", RANKERS)
@pytest.mark.usefixtures("yesterday")
def test_labels_that_went_missing_or_came_twice_overnight_stop_the_snapshot(
    sound: dict[str, pa.Table], params: NightParams, kind: str, positives: int, passed: bool
) -> None:
    for days_ago, happened in ((1, 2_500), (0, positives)):
        night = params.model_copy(update={"as_of": AS_OF - timedelta(days=days_ago)})
        leave_quality(night.models_uri, **{kind: fared({"card": happened}, cases=1_000_000)})
    write_snapshot(sound, params)
    seal.run(params)
    failures = {check.name for check in _manifest(params).gate.failures}
    asked = {f"{kind.removesuffix('s')}_labels_since_yesterday"}
    by_family = {"product_family_labels_since_yesterday"} if kind == "products" else set()
    assert failures == (set() if passed else asked | by_family)
