"""A report's sections in the order in which they are read."""

from collections.abc import Callable, Sequence

from spark_jobs.report.facts import Facts
from spark_jobs.report.parts import Section
from spark_jobs.report.sections.change import changes, movers
from spark_jobs.report.sections.health import drift, gate, steps
from spark_jobs.report.sections.money import funnel, revenue, uplift
from spark_jobs.report.sections.people import coverage, portraits, whom
from spark_jobs.report.sections.quality import calibration, quality

SECTIONS: Sequence[Callable[[Facts], Section]] = (
    changes,
    coverage,
    whom,
    movers,
    portraits,
    quality,
    calibration,
    revenue,
    funnel,
    uplift,
    gate,
    drift,
    steps,
)
