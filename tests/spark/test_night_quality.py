"""A night that trains nothing asks its champion about openings that the training had not seen, and the gate is told."""

import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from data_contracts.manifest import GateCheck
from data_contracts.models import ModelVersion, NightModels
from data_contracts.night import NightParams, Sources
from data_contracts.quality import NightQuality, RankerQuality
from data_contracts.tables import contract
from spark_jobs.features.silver import read_silver
from spark_jobs.jobs.seal import of_newest_cases
from spark_jobs.lake.model_documents import model_documents
from spark_jobs.lake.tables import write_table
from spark_jobs.lifecycle.night_quality import leave_quality, quality_of_champions, quality_of_training
from spark_jobs.lifecycle.settling import Trained
from spark_jobs.ranking.product_cases import cases_of_night
from spark_jobs.ranking.product_training import train_on
from spark_jobs.ranking.products import judged_products
from spark_jobs.ranking.windows import windows_of_night
from tests.unit.scoring_samples import CATALOGUE, FEW_ROUNDS, RULES

TRAINED = date(2026, 3, 16)
TONIGHT = TRAINED + timedelta(days=1)
USERS, DAYS, HORIZON_DAYS = 1_200, 30, 7
SOLD = [product.product_id for product in CATALOGUE.products[:4]]
TASTE = np.random.default_rng(3).normal(size=(USERS, 2))
# Each product's opening by what of the taste.
_OF_TASTE = np.array([0, 0, 1, 1])


def params(lake: str, as_of: date) -> NightParams:
    return NightParams(as_of=as_of, lake=lake, sources=Sources(reference="unread"), product_horizon_days=HORIZON_DAYS)


def write(spark: SparkSession, lake: str, name: str, rows: pd.DataFrame) -> None:
    lacking = [column for column in contract(name).columns if column.name not in rows]
    frame = spark.createDataFrame(rows)
    empty = {column.name: F.lit(None).cast(column.type.value) for column in lacking}
    write_table(frame.withColumns(empty) if empty else frame, lake, name)


def customers() -> pd.DataFrame:
    known = {"birth_year": 1980, "score_band": 2, "valid_from": TRAINED - timedelta(days=DAYS)}
    consents = dict.fromkeys(("consent_mobile", "consent_web", "consent_crm", "consent_profiling"), True)
    return pd.DataFrame({"user_id": np.arange(1, USERS + 1), **known, **consents})


def features(as_ofs: Sequence[date]) -> pd.DataFrame:
    """The taste as it is, from every as-of."""
    told = {"f_taste_a": TASTE[:, 0], "f_taste_b": TASTE[:, 1]}
    return pd.concat([pd.DataFrame({"user_id": np.arange(1, USERS + 1), "as_of": day, **told}) for day in as_ofs])


def openings() -> pd.DataFrame:
    """Every day some of the products by some of the users, the more the likelier by taste; at noon."""
    draw = np.random.default_rng(4)
    daily = 0.08 / (1 + np.exp(2.5 - 1.8 * TASTE[:, _OF_TASTE]))
    found = np.argwhere(draw.random((DAYS, USERS, len(SOLD))) < daily)
    days = [TONIGHT - timedelta(days=int(ago) + 1) for ago in found[:, 0]]
    return pd.DataFrame(
        {
            "event_id": [str(number) for number in range(len(found))],
            "user_id": found[:, 1] + 1,
            "product_id": np.array(SOLD)[found[:, 2]],
            "event_type": "opened",
            "event_time": [datetime(day.year, day.month, day.day, 9, tzinfo=UTC) for day in days],
            "day": days,
        }
    )


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """With a champion of products, trained the night before."""
    lake = str(tmp_path_factory.mktemp("lake"))
    document = pd.DataFrame({"version": ["1"], "document": [CATALOGUE.model_dump_json()]})
    write(spark, lake, "silver.catalogue", document)
    write(spark, lake, "silver.rules", document.assign(document=RULES.model_dump_json()))
    write(spark, lake, "silver.customers", customers())
    before, tonight = (windows_of_night(params(lake, as_of)) for as_of in (TRAINED, TONIGHT))
    as_ofs = [before.train.as_of, before.calibrate.as_of, tonight.calibrate.as_of]
    write(spark, lake, "gold.user_features", features(as_ofs))
    write(spark, lake, "silver.product_events", openings())

    night = params(lake, TRAINED)
    train, calibrate = cases_of_night(read_silver(spark, lake), night, before)
    ranker = train_on(train, calibrate, seed=night.seed, threads=1, params=FEW_ROUNDS)
    ranker.save(f"{night.models_uri}/products")
    judged = judged_products(ranker, calibrate.users, calibrate.feature_names)
    trained = {"products": Trained(ranker.facts, judged)}
    leave_quality(night, quality_of_training(night, NightModels(train=True, why=""), trained, {}))
    return lake


def asked(spark: SparkSession, lake: str) -> NightQuality:
    """The night of `TONIGHT`, with the models of the night before; leaves what it found."""
    night, plan = params(lake, TONIGHT), NightModels(train=False, why="", used={"products": CHAMPION})
    shutil.copytree(f"{params(lake, TRAINED).models_uri}/products", f"{night.models_uri}/products", dirs_exist_ok=True)
    found = quality_of_champions(spark, night, plan)
    leave_quality(night, found)
    return found


CHAMPION = ModelVersion(
    name="products", version=1, as_of=TRAINED, uri="", files={}, features=(), contracts={}, settings={}
)


def verdicts(lake: str) -> dict[str, GateCheck]:
    now, then = (model_documents(params(lake, as_of).models_uri) for as_of in (TONIGHT, TRAINED))
    return {check.name: check for check in of_newest_cases(now, then)}


def broken(spark: SparkSession, lake: str, folder: Path, events: pd.DataFrame) -> str:
    """The lake with other product events, elsewhere."""
    shutil.copytree(lake, folder)
    write(spark, str(folder), "silver.product_events", events)
    return str(folder)


def in_newest_window(lake: str, events: pd.DataFrame) -> NDArray[np.bool_]:
    window = windows_of_night(params(lake, TONIGHT)).calibrate
    return ((events["event_time"] >= window.start) & (events["event_time"] < window.end)).to_numpy()


def test_a_night_without_training_measures_its_own_newest_openings_and_passes(spark: SparkSession, lake: str) -> None:
    found = asked(spark, lake)
    one = found.rankers["products"]
    events = openings()
    inside = events[in_newest_window(lake, events)]
    assert one.positives == len(inside.drop_duplicates(["user_id", "product_id"]))
    assert {name: family.cases for name, family in one.families.items()} == {
        "card": 2 * USERS,
        "deposit": USERS,
        "loan": USERS,
    }
    assert one.end.date() == TRAINED
    assert one != trained_quality(lake)
    assert one.auc is not None
    assert one.auc.value > 0.65
    assert found.unknown == {"offers": "no ranker scores"}
    told = verdicts(lake)
    assert {"product_auc", "product_labels_since_yesterday", "product_labels_since_training"} <= told.keys()
    assert "product_family_labels_since_yesterday" in told
    assert all(check.passed for check in told.values())


def trained_quality(lake: str) -> RankerQuality:
    return NightQuality.of(model_documents(params(lake, TRAINED).models_uri)).rankers["products"]


def test_labels_that_vanished_after_the_training_stop_the_night(spark: SparkSession, lake: str, tmp_path: Path) -> None:
    events = openings()
    elsewhere = broken(spark, lake, tmp_path / "lake", events[~in_newest_window(lake, events)])
    assert asked(spark, elsewhere).rankers["products"].positives == 0
    failed = {name for name, check in verdicts(elsewhere).items() if not check.passed}
    assert failed == {
        "product_labels_since_yesterday",
        "product_labels_since_training",
        "product_family_labels_since_yesterday",
    }


def test_labels_that_went_to_other_people_stop_the_night_by_what_its_ranker_is_worth(
    spark: SparkSession, lake: str, tmp_path: Path
) -> None:
    events = openings()
    mixed = np.random.default_rng(6).permutation(USERS) + 1
    elsewhere = broken(spark, lake, tmp_path / "lake", events.assign(user_id=mixed[events["user_id"] - 1]))
    asked(spark, elsewhere)
    assert {name for name, check in verdicts(elsewhere).items() if not check.passed} == {"product_auc"}


def test_what_a_night_cannot_know_it_says_is_unknown(spark: SparkSession, lake: str, tmp_path: Path) -> None:
    late = openings()
    late = late[pd.to_datetime(late["day"]) >= pd.Timestamp(TONIGHT - timedelta(days=3))]
    elsewhere = broken(spark, lake, tmp_path / "lake", late)
    found = asked(spark, elsewhere)
    assert not found.rankers
    assert "history too short" in found.unknown["products"]
    assert verdicts(elsewhere) == {}
