"""What campaigns' control groups tell of whom a contact persuades, left beside the night's models.

Part of job `ranking`. `{models}/uplift.json`: the horizon in days, `why` there is no result or "", and then `control`
and `treated` users of the later window, `qini` (pairs of a share addressed and the openings added), and `curve`,
`coefficient` and `uplift_at` (see evaluation/uplift.py) with intervals.
"""

import json
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from data_contracts.night import NightParams
from spark_jobs.evaluation.uplift import uplift_quality
from spark_jobs.features.base import Moment
from spark_jobs.features.silver import read_silver
from spark_jobs.lake.files import write_bytes
from spark_jobs.lake.tables import read_table
from spark_jobs.ranking.uplift import Contacted, train_uplift
from spark_jobs.ranking.uplift_cases import contacted, has_controls
from spark_jobs.ranking.windows import windows_of_night

FILE = "uplift.json"
# Of the smaller group, in either window: fewer tell nothing of who is persuaded.
FEWEST_USERS, FEWEST_OPENINGS = 500, 20


def leave_uplift(spark: SparkSession, params: NightParams) -> None:
    """Trains on the contacts of the night's first window, and is judged on those of its second."""
    first = later = None
    windows = windows_of_night(params)
    campaigns = read_table(spark, params.lake, "silver.campaign_interactions")
    if has_controls(campaigns, since=windows.train.as_of, fewest=FEWEST_USERS):
        silver, features = read_silver(spark, params.lake), read_table(spark, params.lake, "gold.user_features")
        now = Moment(params.as_of, params.cut_off)
        first = contacted(silver, windows.train, features=features, now=now, fewest=FEWEST_USERS)
        later = first and contacted(silver, windows.calibrate, features=features, now=now, fewest=FEWEST_USERS)
    told = {"horizon_days": params.product_horizon_days, **uplift_told(first, later, params)}
    write_bytes(f"{params.models_uri}/{FILE}", json.dumps(told).encode())


def uplift_told(first: Contacted | None, later: Contacted | None, params: NightParams) -> dict[str, Any]:
    """The result as JSON, or why there is none."""
    if first is None or later is None:
        return {"why": f"a group of the campaigns has fewer than {FEWEST_USERS} users within the horizon"}
    if min(first.smallest()[1], later.smallest()[1]) < FEWEST_OPENINGS:
        return {"why": f"a group of the campaigns opened fewer than {FEWEST_OPENINGS} products within the horizon"}
    model = train_uplift(first, seed=params.seed, threads=params.training_threads)
    scores, outcome = (values.astype(np.float64) for values in (model.scores(later.features), later.outcome))
    quality = uplift_quality(scores, later.treated, outcome, seed=params.seed)
    treated, found = int(later.treated.sum()), quality.as_json()
    qini = [[one["share"], one["value"] * treated] for one in found["curve"]]
    return {"why": "", "treated": treated, "control": len(later.treated) - treated, "qini": qini, **found}
