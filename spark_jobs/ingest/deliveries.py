"""What each source has delivered for a night, and what of it the lake has not seen: the unit is one day of a source.

A delivery's fingerprint covers names, sizes and times of its files and the version of its contract, so a day that was
delivered again, or that is read differently now, is ingested again, and any other is left alone.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from pyarrow import fs

from data_contracts.errors import InputError
from data_contracts.night import NightParams
from spark_jobs.ingest.sources import PATTERNS, SOURCES, Layout, Source, day_of
from spark_jobs.lake.files import file_system

# A night whose last day with events lies further back than this has nothing to look at.
STALE_DAYS = 7


@dataclass(frozen=True, order=True)
class SourceFile:
    """`uri` is what Spark opens; `size` in bytes; `modified` in nanoseconds since 1970."""

    uri: str
    size: int
    modified: int


@dataclass(frozen=True)
class Delivery:
    """One day of a source, or a source delivered whole (`day` None)."""

    source: Source
    day: date | None
    files: tuple[SourceFile, ...]

    @property
    def key(self) -> tuple[str, date | None]:
        return self.source.name, self.day

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.source.contract.version.encode())
        for file in sorted(self.files):
            digest.update(f"\n{file.uri} {file.size} {file.modified}".encode())
        return digest.hexdigest()


def find_deliveries(params: NightParams) -> tuple[Delivery, ...]:
    """Everything delivered for days before the as-of (exports: up to it). Raises InputError for a missing folder."""
    for origin in ("tecd", "dwh", "events"):
        _require_folder(params, origin)
    return tuple(delivery for source in SOURCES for delivery in _deliveries(source, params))


def require_recent_days(found: Iterable[Delivery], params: NightParams) -> None:
    """Refuse an as-of that no delivered day lies shortly before. Raises InputError that names the days there are.

    Days of events count; days of exports do only where no source of events was given.
    """
    has_events = any(source.has_events and source.root(params) for source in SOURCES)
    days = {one.day for one in found if one.day and one.source.has_events == has_events}
    if days and max(days) >= params.as_of - timedelta(days=STALE_DAYS):
        return
    every = sorted(day for source in SOURCES for day, _ in _files(source, params) if day)
    told = f"the sources have days {every[0]} to {every[-1]}" if every else "the sources have no days at all"
    if days:
        raise InputError(
            f"no data in the {STALE_DAYS} days before {params.as_of}: {told}; "
            f"choose a date up to {max(days) + timedelta(days=1)}"
        )
    raise InputError(f"no data before {params.as_of}: {told}; a night needs at least one day before its date")


def missing_days(found: Iterable[Delivery], params: NightParams) -> Iterator[str]:
    """A warning for each source that lacks days between its first and the as-of."""
    days: dict[str, set[date]] = defaultdict(set)
    for delivery in found:
        if delivery.source.has_events and delivery.day:
            days[delivery.source.name].add(delivery.day)
    for name, present in sorted(days.items()):
        span = (params.as_of - min(present)).days
        missing = sorted({min(present) + timedelta(days=n) for n in range(span)} - present)
        if missing:
            told = ", ".join(day.isoformat() for day in missing[:5]) + (" …" if len(missing) > 5 else "")
            yield f"{name}: no file for {len(missing)} of {span} days: {told}"


def _require_folder(params: NightParams, origin: str) -> None:
    uri = getattr(params.sources, origin)
    if uri is None:
        return
    system, path = file_system(uri)
    if system.get_file_info(path).type != fs.FileType.Directory:
        raise InputError(f"{uri}: no such folder; it was given as the source {origin}")
    folders = [source.folder for source in SOURCES if source.origin == origin]
    infos = system.get_file_info([f"{path}/{folder}" for folder in folders])
    if all(info.type == fs.FileType.NotFound for info in infos):
        raise InputError(f"{uri}: nothing of source {origin} in this folder; expected one of {', '.join(folders)}")


def _deliveries(source: Source, params: NightParams) -> Iterator[Delivery]:
    last = params.as_of if source.layout is Layout.EXPORTED else params.as_of - timedelta(days=1)
    by_day: dict[date | None, list[SourceFile]] = defaultdict(list)
    for day, file in _files(source, params):
        if day is None or day <= last:
            by_day[day].append(file)
    for day in sorted(by_day, key=lambda day: day or date.min):
        yield Delivery(source, day, tuple(sorted(by_day[day])))


def _files(source: Source, params: NightParams) -> Iterator[tuple[date | None, SourceFile]]:
    """Every file of a source with its day, as-of or not; files that the layout does not know are not ours."""
    root = source.root(params)
    if root is None:
        return
    system, path = file_system(root.rstrip("/"))
    base = f"{path}/{source.folder}"
    to_date = day_of(source.layout, params)
    for info in _infos(system, base, is_folder=source.is_dated):
        within = info.path.removeprefix(base)
        match = re.fullmatch(PATTERNS[source.layout], within.lstrip("/")) if source.is_dated else None
        if source.is_dated and match is None:
            continue
        file = SourceFile(f"{root.rstrip('/')}/{source.folder}{within}", info.size, info.mtime_ns or 0)
        yield to_date(match[1]) if match else None, file


def _infos(system: fs.FileSystem, base: str, *, is_folder: bool) -> list[fs.FileInfo]:
    if is_folder:
        selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
        return [info for info in system.get_file_info(selector) if info.type == fs.FileType.File]
    info = system.get_file_info(base)
    return [info] if info.type == fs.FileType.File else []
