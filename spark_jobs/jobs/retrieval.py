"""Job `retrieval`: learn the candidate sources on a sample of users, and fold every user into the factor space.

The first job that needs models: it decides whether this night trains. If not, the champion's factors are taken.
"""

import hashlib

from pyspark.sql import SparkSession

from data_contracts.models import NightModels
from data_contracts.night import NightParams
from spark_jobs.jobs.runner import JobReport, TableReport, main
from spark_jobs.lake.tables import rows_written
from spark_jobs.lifecycle.files import checked_files
from spark_jobs.lifecycle.night import planned
from spark_jobs.ranking.offers_night import VECTORS, fold_users, train_retrieval_models


def run(spark: SparkSession, params: NightParams) -> JobReport:
    """Raises InputError where nothing may be trained and no champion can score."""
    plan = planned(spark, params)
    model, saved = train_retrieval_models(spark, params, champion=_champion(plan))
    version = fold_users(spark, params, model)
    return JobReport(
        tables={
            "retrieval_model": TableReport(
                rows=model.n_items,
                fingerprint=hashlib.sha256(repr(sorted(saved.files.items())).encode()).hexdigest(),
                details={"trained": plan.train, "why": plan.why, **saved.facts, "sha256": dict(saved.files)},
            ),
            VECTORS: TableReport(rows=rows_written(params.lake, VECTORS), version=version),
        },
        warnings=(*saved.warnings, *plan.warnings),
    )


def _champion(plan: NightModels) -> str | None:
    """Folder of the champion of offers, its files checked; None where all is learned tonight."""
    model = None if plan.train else plan.used.get("offers")
    if model is None:
        return None
    checked_files(model)
    return model.uri


if __name__ == "__main__":
    main(run)
