"""A job's end as Dagster tells it: its own words, its exit code, the end of its log, and whether to try again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from data_contracts.errors import BusyError, RecsError, UnavailableError
from data_contracts.settings import Settings

_TRANSIENT = {BusyError.exit_code, UnavailableError.exit_code}
_SHOWN_LINES = 40


def failure(text: str, *, exit_code: int, log: Path | None = None) -> dg.Failure:
    """`log`: linked, and its last lines shown."""
    metadata: dict[str, dg.MetadataValue] = {"exit_code": dg.MetadataValue.int(exit_code)}
    if log is not None:
        metadata["log"] = dg.MetadataValue.path(str(log))
        metadata["end_of_log"] = dg.MetadataValue.md(f"```\n{_end_of(log)}\n```")
    return dg.Failure(text, metadata=metadata, allow_retries=False)


def failure_of(error: RecsError) -> dg.Failure:
    return failure(str(error), exit_code=error.exit_code)


def is_transient(exit_code: int) -> bool:
    """Whether the same again may succeed: something was busy or did not answer, or a signal killed the process."""
    return exit_code in _TRANSIENT or exit_code < 0


@contextmanager
def told(context: dg.AssetExecutionContext, settings: Settings) -> Iterator[None]:
    """Turn the errors of a step into dagster.Failure, and a transient one into a retry, each later than the last.

    No RetryPolicy does this: under one, Dagster would also start a cancelled step again.
    """
    try:
        with _as_failures():
            yield
    except dg.Failure as failed:
        code = failed.metadata.get("exit_code")
        if code is None or not is_transient(int(str(code.value))):
            raise
        wait = settings.retry_seconds * 2**context.retry_number
        context.log.warning(f"{failed.description} (transient: retry {context.retry_number + 1} after {wait:g} s)")
        raise dg.RetryRequested(max_retries=settings.max_retries, seconds_to_wait=wait) from failed


@contextmanager
def _as_failures() -> Iterator[None]:
    try:
        yield
    except RecsError as error:
        raise failure_of(error) from error


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
    return "\n".join(lines).replace("```", "'''") or "it printed nothing"
