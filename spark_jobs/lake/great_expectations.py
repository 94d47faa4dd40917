"""Runs a contract's suite on a frame: verdicts only at first, details of what failed afterwards.

Importing this module takes seconds: it loads Great Expectations.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any
from uuid import uuid4

import great_expectations as gx
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation import Expectation
from pyspark.sql import DataFrame

from data_contracts.checks import checks_of
from data_contracts.tables import Pii, TableContract
from spark_jobs.lake.suite import CHECK, checked_frame, suite_of

# Complete results list every offending value on the driver; of more rows only some are listed.
_MOST_ROWS_COMPLETE = 100_000
_EXAMPLES = 5
_COMPLETE: dict[str, Any] = {"result_format": "COMPLETE", "partial_unexpected_count": _EXAMPLES}
_SUMMARY: dict[str, Any] = {"result_format": "SUMMARY", "partial_unexpected_count": _EXAMPLES}
_COUNTS: dict[str, Any] = {"result_format": "SUMMARY", "partial_unexpected_count": 0}
_one_at_a_time = Lock()


@dataclass(frozen=True)
class Outcome:
    """`found`: failed check's name -> what broke it. `results`: Great Expectations' own, JSON-able."""

    found: Mapping[str, str] = field(default_factory=dict)
    results: Sequence[Mapping[str, Any]] = ()


def validate_frame(frame: DataFrame, promised: TableContract, *, rows: int) -> Outcome:
    """rows: of the frame, known from Delta's log; decides how much detail of a failure is affordable."""
    batch, suite = _batch(checked_frame(frame, promised)), suite_of(promised)
    plain = batch.validate(suite, result_format="BOOLEAN_ONLY")
    failed = {_check_of(result) for result in plain.results if not result.success}
    found: dict[str, str] = {}
    results = [result.to_json_dict() for result in plain.results if result.success]
    for formatted, names in _by_format(promised, failed, rows=rows):
        again = [one for one in suite.expectations if (one.meta or {})[CHECK] in names]
        for result in batch.validate(_part(again), result_format=formatted).results:
            results.append(result.to_json_dict())
            if not result.success:
                found[_check_of(result)] = _in_words(result)
    # What failed once and passed when it was looked at again has failed.
    return Outcome({name: found.get(name, "failed, but not when looked at again") for name in failed}, results)


def _batch(frame: DataFrame) -> Any:
    """A data source of its own, since one keeps the state of one batch; not persisted, since it is read once."""
    with _one_at_a_time:
        source = _context().data_sources.add_spark(uuid4().hex, persist=False)
    asset = source.add_dataframe_asset("written")
    return asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})


@cache
def _context() -> Any:
    warnings.filterwarnings("ignore", module="great_expectations")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _check_of(result: Any) -> str:
    return str(result.expectation_config.meta[CHECK])


def _part(expectations: Iterable[Expectation]) -> gx.ExpectationSuite:
    return gx.ExpectationSuite("failed", expectations=[one.copy(update={"id": None}) for one in expectations])


def _by_format(promised: TableContract, failed: set[str], *, rows: int) -> list[tuple[dict[str, Any], set[str]]]:
    """Values of personal columns are counted, never shown."""
    personal = {
        check.name for check in checks_of(promised) if check.column is not None and check.column.pii is not Pii.NONE
    }
    full = _COMPLETE if rows <= _MOST_ROWS_COMPLETE else _SUMMARY
    groups = [(full, failed - personal), (_COUNTS, failed & personal)]
    return [(formatted, names) for formatted, names in groups if names]


def _in_words(result: Any) -> str:
    """`3 of 120 rows, such as 'browse', 'peek'`, or what was observed instead, or why nothing could be computed."""
    values = result.result
    if "unexpected_count" in values:
        examples = ", ".join(repr(value) for value in dict.fromkeys(values.get("partial_unexpected_list") or ()))
        counted = f"{values['unexpected_count']} of {values['element_count']} rows"
        return f"{counted}, such as {examples}" if examples.strip("None") else counted
    if "observed_value" in values:
        details = values.get("details", {}).get("mismatched", "")
        return f"found {values['observed_value']} {details}".strip()
    return "; ".join(sorted(set(_messages(result.exception_info)))) or "no result"


def _messages(information: Any) -> Iterable[str]:
    if isinstance(information, Mapping):
        if information.get("exception_message"):
            yield str(information["exception_message"]).splitlines()[0]
        for value in information.values():
            yield from _messages(value)
