"""Make a snapshot's report and put it where it belongs."""

from dataclasses import dataclass

from spark_jobs.lake.files import write_bytes
from spark_jobs.report.facts import facts_of
from spark_jobs.report.page import page
from spark_jobs.report.sections import SECTIONS


@dataclass(frozen=True)
class Made:
    uri: str
    sections: int
    bytes: int


def report_uri(lake: str, snapshot_id: str) -> str:
    return f"{lake}/reports/{snapshot_id}/index.html"


def make_report(lake: str, snapshot_id: str) -> Made:
    """Replaces an older one. Raises InputError for a snapshot that is not there or was never sealed."""
    content = page(facts_of(lake, snapshot_id)).encode()
    uri = report_uri(lake, snapshot_id)
    write_bytes(uri, content)
    return Made(uri, sections=len(SECTIONS), bytes=len(content))
