"""What campaigns' control groups tell of whom a contact persuades, left beside the night's models.

Part of job `ranking`. `{models}/uplift` is the model that lists of the variant are made with, registered and judged
beside the champion as rankers are, by its Qini coefficient on the same later contacts. `{models}/uplift.json`:
the horizon in days, `why` there is no result or "", and then `control` and `treated` users of the later window, `qini`
(pairs of a share addressed and the openings added), and `curve`, `coefficient` and `uplift_at` (see
evaluation/uplift.py) with intervals.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from data_contracts.gate import PROMOTION, asked
from data_contracts.manifest import GateVerdict
from data_contracts.models import ModelVersion
from data_contracts.night import NightParams
from data_contracts.vocabulary import Variant
from spark_jobs.evaluation.uplift import Floats, paired_gain, uplift_quality
from spark_jobs.features.base import Moment
from spark_jobs.features.silver import read_silver
from spark_jobs.lake.files import write_bytes
from spark_jobs.lake.tables import read_table
from spark_jobs.lifecycle.files import checked_files
from spark_jobs.lifecycle.promotion import enough_cases, none_prohibited
from spark_jobs.lifecycle.settling import Trained
from spark_jobs.ranking.boosting import importance
from spark_jobs.ranking.uplift import PARAMS, Contacted, UpliftModel, train_uplift
from spark_jobs.ranking.uplift_cases import contacted, has_controls
from spark_jobs.ranking.windows import windows_of_night

FILE = "uplift.json"
FOLDER = Variant.UPLIFT.value
# Of the users that the smaller group must have (`uplift_users`), in either window, as many must have opened.
_OPENED_SHARE = 25


def leave_uplift(spark: SparkSession, params: NightParams, champion: ModelVersion | None = None) -> Trained | None:
    """Trains on the contacts of the night's first window, and is judged on those of its second, beside the champion.

    None where contacts are too few. Raises InputError where the champion's files are not what was registered.
    """
    first = later = None
    fewest = params.uplift_users
    windows = windows_of_night(params)
    campaigns = read_table(spark, params.lake, "silver.campaign_interactions")
    if has_controls(campaigns, since=windows.train.as_of, fewest=fewest):
        silver, features = read_silver(spark, params.lake), read_table(spark, params.lake, "gold.user_features")
        now = Moment(params.as_of, params.cut_off)
        first = contacted(silver, windows.train, features=features, now=now, fewest=fewest)
        later = first and contacted(silver, windows.calibrate, features=features, now=now, fewest=fewest)
    why = too_few(first, later, params)
    told: dict[str, Any] = {"horizon_days": params.product_horizon_days, "why": why}
    trained = None
    if first is not None and later is not None and not why:
        model = train_uplift(first, seed=params.seed, threads=params.training_threads)
        model.save(f"{params.models_uri}/{FOLDER}")
        told |= judged(model, later, seed=params.seed)
        verdict = alone(model, later) if champion is None else beside(model, _loaded(champion), later, seed=params.seed)
        gains = importance(model.of_treated)
        trained = Trained(facts_of(told, first), None, sizes=asdict(PARAMS), importance=gains, verdict=verdict)
    write_bytes(f"{params.models_uri}/{FILE}", json.dumps(told).encode())
    return trained


def facts_of(told: Mapping[str, Any], first: Contacted) -> dict[str, float]:
    """What is kept of a training: cases, and the Qini coefficient on later contacts with the ends of its interval."""
    qini = {
        f"qini{end}": told["coefficient"][name] for name, end in (("value", ""), ("low", "_low"), ("high", "_high"))
    }
    counts = {"training_rows": len(first.outcome), "training_positives": float(first.outcome.sum())}
    return {**counts, "judged_treated": told["treated"], "judged_control": told["control"], **qini}


def beside(model: UpliftModel, champion: UpliftModel, later: Contacted, *, seed: int) -> GateVerdict:
    """Whether it takes over: what its ranking of the same later contacts adds to the champion's Qini coefficient."""
    own, other = (_scores(one, later) for one in (model, champion))
    gain = paired_gain(own, other, later.treated, later.outcome.astype(np.float64), seed=seed)
    why = (
        f"Qini coefficient gained: {gain.low:+.5f} to {gain.high:+.5f}, mean {gain.value:+.5f}, over {gain.users} users"
    )
    gained = asked("uplift_gain", gain.low, why, rules=PROMOTION)
    return GateVerdict.of((gained, none_prohibited(model.user_features)))


def alone(model: UpliftModel, later: Contacted) -> GateVerdict:
    """What can be asked without a champion: it tells an order, of which there is no calibration to ask."""
    opened = enough_cases(int(later.outcome.sum()), "openings of later contacts")
    return GateVerdict.of((opened, none_prohibited(model.user_features)))


def _scores(model: UpliftModel, cases: Contacted) -> Floats:
    """A champion of other days may know features in another order."""
    position = {name: number for number, name in enumerate(cases.names)}
    columns = [position[name] for name in model.names]
    return model.scores(np.ascontiguousarray(cases.features[:, columns])).astype(np.float64)


def _loaded(champion: ModelVersion) -> UpliftModel:
    checked_files(champion)
    return UpliftModel.load(f"{champion.uri}/{FOLDER}")


def too_few(first: Contacted | None, later: Contacted | None, params: NightParams) -> str:
    """Why nothing is learnt of uplift; "" where something is."""
    if first is None or later is None:
        return f"a group of the campaigns has fewer than {params.uplift_users} users within the horizon"
    fewest = params.uplift_users // _OPENED_SHARE
    if min(first.smallest()[1], later.smallest()[1]) < fewest:
        return f"a group of the campaigns opened fewer than {fewest} products within the horizon"
    return ""


def judged(model: UpliftModel, later: Contacted, *, seed: int) -> dict[str, Any]:
    """The result on contacts that the model has not seen, as JSON."""
    scores, outcome = (values.astype(np.float64) for values in (model.scores(later.features), later.outcome))
    quality = uplift_quality(scores, later.treated, outcome, seed=seed)
    treated, found = int(later.treated.sum()), quality.as_json()
    qini = [[one["share"], one["value"] * treated] for one in found["curve"]]
    return {"treated": treated, "control": len(later.treated) - treated, "qini": qini, **found}
