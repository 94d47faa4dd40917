"""Job `report`: `{lake}/reports/<snapshot_id>/index.html`, of a sealed snapshot, whether its gate let it pass or not.

Needs no Spark.
"""

from data_contracts.night import NightParams
from spark_jobs.jobs.runner import JobReport, TableReport, main_without_spark
from spark_jobs.report.make import make_report


def run(params: NightParams) -> JobReport:
    """Raises InputError for a snapshot that was never sealed."""
    made = make_report(params.lake, params.snapshot_id)
    return JobReport(tables={"report": TableReport(rows=made.sections, bytes=made.bytes)})


if __name__ == "__main__":
    main_without_spark(run)
