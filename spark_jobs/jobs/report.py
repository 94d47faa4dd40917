"""Job `report`: `{lake}/reports/<snapshot_id>/index.html`, of a sealed snapshot, whether its gate let it pass or not.

Needs no Spark. The models that score a night which trains get a tag in MLflow that leads to the report; other nights
spare themselves MLflow, whose versions their reports link.
"""

from data_contracts.errors import UnavailableError
from data_contracts.night import NightParams
from spark_jobs.jobs.runner import JobReport, TableReport, main_without_spark
from spark_jobs.lifecycle.files import night_models
from spark_jobs.lifecycle.registry import Registry
from spark_jobs.report.make import make_report


def run(params: NightParams) -> JobReport:
    """Raises InputError for a snapshot that was never sealed."""
    made = make_report(params.lake, params.snapshot_id)
    report = TableReport(rows=made.sections, bytes=made.bytes)
    try:
        tag_models(params, made.uri)
    except UnavailableError as error:
        return JobReport(tables={"report": report}, warnings=(f"the models bear no link to the report: {error}",))
    return JobReport(tables={"report": report})


def tag_models(params: NightParams, uri: str) -> None:
    """Raises UnavailableError."""
    plan = night_models(params)
    if plan is None or not plan.train or params.registry is None:
        return
    registry = Registry(params.registry, lake=params.lake)
    for model in (*plan.used.values(), *plan.tried.values()):
        registry.reported(model, uri)


if __name__ == "__main__":
    main_without_spark(run)
