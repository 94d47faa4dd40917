"""The report tells a snapshot in words, plots and tables; names in it are text, whatever they say."""

import html
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data_contracts.catalogue import LocalText
from data_contracts.errors import InputError
from data_contracts.models import ModelVersion, NightModels
from data_contracts.night import NightParams, Sources
from data_contracts.quality import QUALITY_FILE, NightQuality
from data_contracts.scores import dequantise, quantise
from spark_jobs.jobs import report, seal
from spark_jobs.lake.files import write_bytes
from spark_jobs.lifecycle.files import leave
from spark_jobs.monitoring.model_scores import SCORES_FILE, NightScores, Scores, Spread
from spark_jobs.report import charts
from spark_jobs.report.make import report_uri
from spark_jobs.report.page import coded
from spark_jobs.report.sections import SECTIONS
from spark_jobs.report.seen import People, lists_seen
from spark_jobs.scoring.fallback import fallback_table
from spark_jobs.scoring.snapshot import PORTRAITS_SCHEMA, items_table, write_documents, write_small
from tests.unit.quality_samples import fared
from tests.unit.scoring_samples import AS_OF, CATALOGUE, REASONS, RULES

HOSTILE = '</text><script>alert("x")</script>&\'"'
USERS = 40
TRAININGS = {"products": "runs:/a1", "offers": "https://mlflow.bank/#/experiments/1/runs/b2"}
ESTIMATE = {"value": 0.5432, "low": 0.51, "high": 0.58, "users": 900}
BINS = [{"predicted": 0.01, "observed": 0.012, "cases": 500}, {"predicted": 0.03, "observed": 0.0271, "cases": 400}]
EVALUATED = {
    "figures": {
        "all": {"ranked": {"ndcg@5": ESTIMATE, "auc": {**ESTIMATE, "value": None}}, "popular": {"ndcg@5": ESTIMATE}},
        "family card": {"ranked": {"auc": ESTIMATE}},
        "segment 4": {"ranked": {"auc": ESTIMATE}},
    },
    "calibration": {"card": BINS, "loan": BINS},
}
_LISTS = {
    "user_id": pa.int64(),
    "variant": pa.string(),
    **{f"{kind}_items": pa.list_(pa.int32()) for kind in ("product", "offer")},
    **{f"{kind}_{name}": pa.list_(pa.uint16()) for kind in ("product", "offer") for name in ("scores", "reasons")},
}


def lists(first: int, *, users: int = USERS) -> pa.Table:
    """Everybody's list begins with the same product; every second one holds the offer."""
    scores = quantise([0.1, 0.01]).tolist()
    rows = [
        {
            "user_id": user,
            "variant": "personal",
            "product_items": [first, 2],
            "product_scores": scores,
            "product_reasons": [1, 1],
            "offer_items": [5] if user % 2 else [],
            "offer_scores": scores[:1] if user % 2 else [],
            "offer_reasons": [1] if user % 2 else [],
        }
        for user in range(users)
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(_LISTS))


def state(users: int = USERS + 10) -> pa.Table:
    return pa.table(
        {
            "user_id": pa.array(np.arange(users), pa.int64()),
            "segment": pa.array(np.arange(users) % 2 + 1, pa.int16()),
            "holdings": pa.array([[]] * users, pa.list_(pa.int32())),
            "birth_year": pa.array([1980] * users, pa.int16()),
            "region": pa.array([1] * users, pa.int16()),
            "income_band": pa.array([2] * users, pa.int8()),
            "employment": pa.array(["employed"] * users),
            "score_band": pa.array([1] * users, pa.int8()),
            "arrears_days": pa.array([0] * users, pa.int16()),
            "consents": pa.array([31] * users, pa.int16()),
        }
    )


def sealed(params: NightParams, *, first: int = 0, offer: str = "offer:1") -> None:
    hostile = CATALOGUE.products[0].model_copy(update={"name": LocalText(en=HOSTILE, ru="a")})
    catalogue = CATALOGUE.model_copy(update={"products": (hostile, *CATALOGUE.products[1:])})
    holders = {"holders": 30, "holders_mean": 4.0, "everyone_mean": 2.0}
    portraits = [{"product_id": "card_a", "feature": "f_customer_age", **holders}]
    best = {"variant": "personal", "item": 0, "shortfall": 5, "user_id": 7, "score": 65_530}
    for name, table in {
        "lists": lists(first),
        "audience_pool": pa.Table.from_pylist([best]),
        "user_state": state(),
        "fallback_lists": fallback_table({}, {}, reason=9),
        "items": items_table(catalogue, [offer]),
        "portraits": pa.Table.from_pylist(portraits, schema=PORTRAITS_SCHEMA),
    }.items():
        write_small(table, params.snapshot_uri, name)
    write_documents(params.snapshot_uri, catalogue=catalogue, rules=RULES, reasons=REASONS)
    seal.run(params)


def write_scores(params: NightParams) -> None:
    """Tonight's and those of the model's first night, a week ago: those of a product of a hostile id doubled."""

    def spread(probability: float) -> Spread:
        return Spread.of(np.repeat(quantise([probability, probability * 1.5]), 300))

    def told(days_ago: int, probability: float) -> Scores:
        best = {kind: spread(0.1) for kind in ("product", "offer")}
        products = {HOSTILE: spread(probability), "card_b": spread(0.01)}
        return Scores(as_of=AS_OF - timedelta(days=days_ago), best=best, products=products)

    then = {kind: told(7, 0.1).of_kind(kind) for kind in ("product", "offer")}
    document = NightScores(now=told(0, 0.2), then=then).model_dump_json()
    write_bytes(f"{params.snapshot_uri}/{SCORES_FILE}", document.encode())


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> NightParams:
    """Two nights; the gate stopped both, but the first is made to have passed, and the second has all there can be."""
    lake = tmp_path_factory.mktemp("lake")
    tonight = NightParams(as_of=AS_OF, lake=str(lake), sources=Sources(reference="unread"))
    before = tonight.model_copy(update={"as_of": AS_OF - timedelta(days=1)})
    sealed(before, first=1)
    manifest = Path(before.snapshot_uri) / "manifest.json"
    manifest.write_text(re.sub(r'"passed": false', '"passed": true', manifest.read_text()))
    write_scores(tonight)
    sealed(tonight, offer=HOSTILE)
    step = {
        "step": "ingest",
        "seconds": 60.0,
        "check_seconds": 2.0,
        "peak_mb": 900,
        "rows": 12,
        "quarantined": 0,
        "cost": 0.1,
    }
    folder = lake / "reports" / tonight.snapshot_id
    folder.mkdir(parents=True)
    (folder / "steps.json").write_text(json.dumps([step]))
    fit = {"slope": 0.9, "intercept": -0.4, "cases": 27}
    ranker = lake / "models" / AS_OF.isoformat() / "products" / "ranker.json"
    ranker.parent.mkdir(parents=True)
    ranker.write_text(json.dumps({"calibrator": {"groups": {"card": fit}}}))
    quality = NightQuality(rankers={"products": fared({"card": 326}, auc=0.76)}, unknown={"offers": "too few days"})
    (ranker.parents[1] / QUALITY_FILE).write_text(quality.model_dump_json())
    evaluation = lake / "evaluation" / (AS_OF - timedelta(days=3)).isoformat() / "backtest.json"
    evaluation.parent.mkdir(parents=True)
    evaluation.write_text(json.dumps({"products": {"together": EVALUATED}}))
    none: dict[str, Any] = {"uri": "unread", "files": {}, "features": (), "contracts": {}, "settings": {}}
    used = {name: ModelVersion(name=name, version=3, as_of=AS_OF, run=run, **none) for name, run in TRAININGS.items()}
    leave(tonight, NightModels(train=False, why="champions", used=used))
    (ranker.parents[1] / "uplift.json").write_text(json.dumps({"qini": [[0.0, 0.0], [0.5, 12.0], [1.0, 15.0]]}))
    return tonight


@pytest.fixture(scope="module")
def page(params: NightParams) -> str:
    report.run(params)
    return Path(report_uri(params.lake, params.snapshot_id)).read_text()


def test_every_section_is_there_with_content_though_the_gate_stopped_the_snapshot(page: str) -> None:
    sections = re.findall(r'<section id="(\w+)".*?</section>', page, re.DOTALL)
    assert len(sections) == len(set(sections)) == len(SECTIONS)
    assert "Stopped" in page
    assert "popular list" in page
    for told in (
        "60.0",
        "AUC 0.760",
        "326 of 100,000 cases happened from 09 March to 16 March",
        "0.326%",
        "How the ranker of offers fares is not known tonight: too few days.",
        "Qini",
        "0.5432",
        "2.710%",
        "segment student",
        *TRAININGS.values(),
        "It cost ₽0.10",
    ):
        assert told in page


def test_names_of_items_are_text_and_nothing_in_the_page_runs_or_is_fetched(page: str) -> None:
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert not re.findall(r'(?:src|(?<!<a )href)="(?!#|data:)[^"]+"', page)
    assert re.findall(r'<a href="((?!#)[^"]+)"', page) == [TRAININGS["offers"]]
    assert not re.findall(r"url\((?!#)", page)


def test_ids_are_unique_and_references_inside_the_page_lead_somewhere(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)


def test_scores_are_drawn_beside_those_of_the_models_first_night(page: str) -> None:
    (drift,) = re.findall(r'<section id="drift".*?</section>', page, re.DOTALL)
    assert "products, model&#39;s first (2026-03-09)" in drift
    assert "Products whose scores moved most since 2026-03-09" in drift
    assert re.search(r"<td>card_b</td><td>0\.000</td><td>0\.000</td>", drift)
    assert re.search(r"</script>.*?</td><td>[1-9]\d?\.\d+</td><td>1\.000</td>", html.unescape(drift))


def test_what_moved_since_yesterday_is_told(page: str) -> None:
    changes = re.search(r'<section id="changes".*?</section>', page, re.DOTALL)
    assert changes is not None
    assert "as many as before" in changes[0]
    assert "1 offer is gone: offer:1." in changes[0]
    assert re.search(r"<td>card_b</td><td>100%</td><td>0\.0%</td><td>-100%</td>", page)


def test_a_snapshot_that_was_never_sealed_has_no_report(params: NightParams) -> None:
    with pytest.raises(InputError, match="never finished"):
        report.run(params.model_copy(update={"attempt": 9}))


def test_lists_are_counted_batch_by_batch_as_they_are_by_hand() -> None:
    people = People.of(state().to_batches(max_chunksize=7))
    values = np.array([product.value for product in CATALOGUE.products])
    seen = lists_seen(lists(0).to_batches(max_chunksize=9), people, items=6, values=values)
    assert seen.lists == USERS
    assert seen.listed.tolist() == [40, 0, 40, 0, 0, 20]
    assert seen.first.tolist() == [40, 0, 0, 0, 0, 20]
    assert seen.shown[1].tolist() == [20, 0, 20, 0, 0] == seen.shown[2].tolist()
    assert seen.personal.tolist() == [0, 20, 20]
    probabilities = dequantise(quantise([0.1, 0.01]))
    assert seen.worth[[0, 2], [0, 1]] == pytest.approx(USERS * probabilities * values[[0, 2]])
    assert {kind: int(counts.sum()) for kind, counts in seen.scores.items()} == {"product": 40, "offer": 20}


def test_only_what_stands_in_backticks_is_set_as_code() -> None:
    assert coded("run `recs <x>`, then <b>") == "run <code>recs &lt;x&gt;</code>, then &lt;b&gt;"


def test_a_mark_tells_its_number_on_hover() -> None:
    rows: list[dict[str, Any]] = [{"item": HOSTILE, "share": 0.5, "says": f"{HOSTILE}: 50 %"}]
    drawn = charts.svg(charts.bars(rows, value="share", label="item", title="share"), name="plot")
    (told,) = set(re.findall(r"<title>(.*?)</title>", drawn))
    assert told.endswith("50 %")
    assert "<script" not in drawn
