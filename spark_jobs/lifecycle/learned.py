"""Features at the past as-ofs that a night needs: those that its models learned from, which tonight's are held against
beside those of the last night that the gate let through, and that of the newest cases whose labels are known.
"""

from datetime import date, timedelta

from pyspark.sql import SparkSession

from data_contracts.night import NightParams, parse_snapshot_id
from spark_jobs.features.gold import Made, write_gold
from spark_jobs.features.increments import read_records
from spark_jobs.lake.plain import written_of_night
from spark_jobs.lake.snapshot_files import let_pass, snapshot_before
from spark_jobs.lifecycle.files import remembered
from spark_jobs.lifecycle.planning import is_due
from spark_jobs.monitoring.feature_drift import DRIFT, TRAINING, YESTERDAY, faults_let_pass, write_feature_drift
from spark_jobs.ranking.windows import Windows, windows_of_night

_HELD = ("feature", "against", "then_as_of")


def write_features(spark: SparkSession, params: NightParams) -> tuple[Made, int]:
    """All of gold, and how many rows the drift of the night's features has.

    As-ofs that are there already, as they would be made now, are left alone. A backfill makes what it was asked for: it
    trains and publishes nothing.
    """
    if params.backfill_from is not None:
        return write_gold(spark, params, training=()), 0
    windows = _windows_at(params, learned_as_of(params))
    newest = windows_of_night(params).calibrate
    past = (windows.train.as_of, windows.calibrate.as_of, newest.as_of)
    made = write_gold(spark, params, training=dict.fromkeys(past))
    rows = () if params.as_of in made.as_ofs else written_of_night(params.lake, DRIFT, _HELD, params.as_of)
    held = {row["feature"]: row["then_as_of"] for row in rows if row["against"] == YESTERDAY}
    later = _faults_let_pass(spark, params)
    first = good_nights(params)[0]
    is_known = all(night == later.get(feature, first) for feature, night in held.items())
    return made, (len(rows) if is_known else 0) or _write_drift(spark, params, windows)


def write_training_features(spark: SparkSession, params: NightParams) -> None:
    """What a night that trains after all still lacks: it was not foreseen, or the registry has changed its mind."""
    windows = windows_of_night(params)
    as_ofs = (windows.train.as_of, windows.calibrate.as_of)
    rows = written_of_night(params.lake, DRIFT, _HELD, params.as_of)
    held_against = {row["then_as_of"] for row in rows if row["against"] == TRAINING}
    if {*as_ofs} <= read_records(params.lake).keys() and held_against <= {windows.train.as_of}:
        return
    write_gold(spark, params, training=as_ofs, with_nights=False)
    _write_drift(spark, params, windows)


def learned_as_of(params: NightParams) -> date:
    """The night whose training tonight's scores rest on, by what the registry said last: tonight where it will train
    whatever the data says, else that of the newest champion.
    """
    aliases = remembered(params.lake) if params.registry is not None else {}
    champions = [one.champion.as_of for one in aliases.values() if one.champion is not None]
    if not champions or max(champions) > params.as_of or params.train == "always":
        return params.as_of
    if params.train == "auto" and is_due(aliases, as_of=params.as_of, every_days=params.train_every_days):
        return params.as_of
    return max(champions)


def good_nights(params: NightParams) -> tuple[date, ...]:
    """What tonight's features are to be as: those of the last night whose snapshot passed its gate. The day before
    stands in where none has yet, and where that night is so long ago that its features have expired.
    """
    before = snapshot_before(params.lake, params.as_of)
    passed = [] if before is None else [parse_snapshot_id(before.rpartition("/")[2])[0]]
    return tuple(dict.fromkeys([*passed, params.as_of - timedelta(days=1)]))


def _faults_let_pass(spark: SparkSession, params: NightParams) -> dict[str, date]:
    """By feature, the as-of at which its fault was let pass, if that was after the last night that passed."""
    before = snapshot_before(params.lake, params.as_of)
    passed = date.min if before is None else parse_snapshot_id(before.rpartition("/")[2])[0]
    nights = [(one.as_of, one.checks) for one in let_pass(params.lake, params.as_of) if one.as_of > passed]
    return faults_let_pass(spark, params.lake, nights) if nights else {}


def _windows_at(params: NightParams, as_of: date) -> Windows:
    return windows_of_night(params.model_copy(update={"as_of": as_of}))


def _write_drift(spark: SparkSession, params: NightParams, windows: Windows) -> int:
    bases = {YESTERDAY: good_nights(params), TRAINING: (windows.train.as_of,)}
    return write_feature_drift(
        spark, params.lake, as_of=params.as_of, bases=bases, let_pass=_faults_let_pass(spark, params)
    )
