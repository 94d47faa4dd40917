"""What a night is held against: yesterday, the first night of its models, and what people let pass in between."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from data_contracts.manifest import MANIFEST_FILE, Manifest
from data_contracts.models import ModelVersion, NightModels
from data_contracts.night import NightParams, Sources
from data_contracts.scores import dequantise, quantise
from spark_jobs.jobs import seal
from spark_jobs.lake.files import write_bytes
from spark_jobs.lake.snapshot_files import snapshot_before
from spark_jobs.lifecycle.files import leave
from spark_jobs.lifecycle.first_scores import first_scores
from spark_jobs.monitoring import model_scores
from spark_jobs.monitoring import yesterday as yesterdays
from spark_jobs.monitoring.model_scores import SCORES_FILE, NightScores, scores_of
from spark_jobs.monitoring.yesterday import sampled
from tests.sealed_nights import publish_stopped, seal_stopped
from tests.unit.quality_samples import fared
from tests.unit.quality_samples import leave as leave_quality
from tests.unit.scoring_samples import AS_OF, CATALOGUE
from tests.unit.test_seal_gate import changed, params, sound, write_snapshot
from tests.unit.test_source_rows import days, write_ledger

__all__ = ["params", "sound"]
Tables = dict[str, pa.Table]
USERS = 60


@pytest.fixture(autouse=True)
def few_users_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yesterdays, "FEWEST_USERS", 20)
    monkeypatch.setattr(model_scores, "FEWEST_LISTS", 20)


@pytest.fixture
def nights(params: NightParams) -> tuple[NightParams, ...]:
    """Five in a row."""
    return tuple(params.model_copy(update={"as_of": AS_OF + timedelta(days=number)}) for number in range(5))


def turned_over(tables: Tables) -> Tables:
    """Everybody is offered the same product, with near certainty."""
    only = {"product_items": [0], "product_scores": [60_000], "product_reasons": [0]}
    return changed(tables, "lists", lambda rows: [{**row, **only} for row in rows])


def rescored(tables: Tables, share: float = 0.2) -> Tables:
    """The same lists, told as this share as likely."""

    def told(scores: list[int]) -> list[int]:
        return quantise(dequantise(scores) * share).tolist()

    return changed(
        tables, "lists", lambda rows: [{**row, "product_scores": told(row["product_scores"])} for row in rows]
    )


def sealed(tables: Tables, night: NightParams, *, model: ModelVersion | None = None) -> set[str]:
    """Write the snapshot as scoring does, seal it, and tell which questions it failed."""
    write_snapshot(tables, night)
    if model is not None:
        leave(night, NightModels(train=False, why="champion", used={"products": model, "offers": model}))
        now = scores_of(sampled(night.snapshot_uri, users=USERS), as_of=night.as_of, products=len(CATALOGUE.products))
        scores = NightScores(now=now, then=first_scores(night))
        write_bytes(f"{night.snapshot_uri}/{SCORES_FILE}", scores.model_dump_json().encode())
    seal.run(night)
    return {check.name for check in manifest_of(night).gate.failures}


def manifest_of(night: NightParams) -> Manifest:
    return Manifest.from_json((Path(night.snapshot_uri) / MANIFEST_FILE).read_text())


def asked(night: NightParams) -> set[str]:
    return {check.name for check in manifest_of(night).gate.checks}


def version(lake: str, number: int = 4) -> ModelVersion:
    told = {"files": {}, "features": (), "contracts": {}, "settings": {}}
    return ModelVersion(
        name="products", version=number, as_of=AS_OF, uri=f"{lake}/models/versions/products/{number}", **told
    )


def test_a_night_like_one_whose_change_was_let_pass_passes_and_the_next_one_too(
    sound: Tables, nights: tuple[NightParams, ...]
) -> None:
    first, second, third, fourth, fifth = nights
    drift = {"product_overlap", "product_score_drift"}
    assert sealed(sound, first) == set()
    assert sealed(turned_over(sound), second) >= drift
    assert sealed(turned_over(sound), third) >= drift
    publish_stopped(third)
    assert not sealed(turned_over(sound), fourth) & drift
    assert snapshot_before(first.lake, fifth.as_of) == first.snapshot_uri
    assert snapshot_before(first.lake, fifth.as_of, "product_overlap") == third.snapshot_uri
    assert snapshot_before(first.lake, fifth.as_of, "offer_overlap") == first.snapshot_uri


@pytest.mark.parametrize("later", ["policy", "coverage"])
def test_a_night_that_failed_otherwise_since_it_was_let_pass_is_nobodys_measure(
    nights: tuple[NightParams, ...], later: str
) -> None:
    first, second, *_ = nights
    seal_stopped(first, "product_overlap")
    publish_stopped(first)
    assert snapshot_before(first.lake, second.as_of, "product_overlap") == first.snapshot_uri
    seal_stopped(first, "product_overlap", later)
    assert snapshot_before(first.lake, second.as_of, "product_overlap") is None


def test_scores_that_moved_since_the_models_first_night_stop_the_snapshot(
    sound: Tables, nights: tuple[NightParams, ...]
) -> None:
    first, second, third, *_ = nights
    model = version(first.lake)
    since_training = {"product_scores_since_training", "products_rescored"}
    assert sealed(sound, first, model=model) == set()
    assert not asked(first) & {*since_training, "offer_scores_since_training"}
    assert sealed(sound, second, model=model) == set()
    assert asked(second) >= {*since_training, "offer_scores_since_training"}
    assert sealed(rescored(sound), third, model=model) >= since_training


def test_of_a_new_model_scores_are_held_against_nothing_until_its_first_night_has_passed(
    sound: Tables, nights: tuple[NightParams, ...]
) -> None:
    first, second, third, *_ = nights
    assert sealed(changed(sound, "lists", lambda rows: rows[:30]), first, model=version(first.lake)) != set()
    assert sealed(sound, second, model=version(first.lake)) == set()
    assert "products_rescored" not in asked(second)
    sealed(sound, third, model=version(first.lake, number=5))
    assert "products_rescored" not in asked(third)
    again = second.model_copy(update={"attempt": 2})
    sealed(rescored(sound, 0.99), again, model=version(first.lake))
    sealed(sound, third.model_copy(update={"attempt": 2}), model=version(first.lake))
    assert first_scores(third)["product"] == NightScores.read(again.snapshot_uri).now.of_kind("product")  # type: ignore[union-attr]


def test_scores_that_people_let_pass_are_the_models_first_from_then_on(
    sound: Tables, nights: tuple[NightParams, ...]
) -> None:
    first, second, third, fourth, _ = nights
    model = version(first.lake)
    assert sealed(sound, first, model=model) == set()
    assert "products_rescored" in sealed(rescored(sound), second, model=model)
    publish_stopped(second)
    assert sealed(rescored(sound), third, model=model) == set()
    for snapshot in (second, third):
        (Path(snapshot.snapshot_uri) / SCORES_FILE).unlink()
    assert sealed(rescored(sound), fourth, model=model) == set()
    assert first_scores(fourth)["product"].as_of == second.as_of


def test_labels_that_were_let_pass_are_what_the_next_nights_are_held_against(
    sound: Tables, nights: tuple[NightParams, ...]
) -> None:
    for night, happened in zip(nights, (2_500, 1_000, 1_010), strict=False):
        leave_quality(night.models_uri, products=fared({"card": happened, "loan": happened}, cases=1_000_000))
    first, second, third, *_ = nights
    assert sealed(sound, first) == set()
    assert sealed(sound, second) == {"product_labels_since_yesterday"} == sealed(sound, third)
    publish_stopped(second)
    assert sealed(sound, third) == set()


def test_half_a_source_stops_the_snapshot_by_its_name_until_people_let_it_pass(
    sound: Tables, nights: tuple[NightParams, ...]
) -> None:
    _, second, third, *_ = (night.model_copy(update={"sources": Sources(events="unread")}) for night in nights)
    usual = {day + timedelta(days=1): rows for day, rows in days().items()}
    halved = {second.as_of - timedelta(days=1): 480}
    write_ledger(second, {"product_events": usual | halved})
    assert sealed(sound, second) == {"source_rows"}
    (told,) = manifest_of(second).gate.failures
    assert (told.value, told.limit) == (0.48, 0.6)
    assert "product_events 480 on 2026-03-16 (1000)" in told.why
    write_ledger(third, {"product_events": usual | halved | {third.as_of - timedelta(days=1): 500}})
    assert sealed(sound, third) == {"source_rows"}
    publish_stopped(second)
    assert sealed(sound, third) == set()
