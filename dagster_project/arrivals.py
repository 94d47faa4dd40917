"""Whether everything has arrived that the night of a date waits for.

Exports of the DWH are waited for with their marker, `dt=<as-of>/_SUCCESS` or a manifest beside the files; events, with
anything of the last day before the as-of. Which folders there are is read from the registry of sources; a source that
was never delivered is not waited for.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from pyarrow import fs

from dagster_project.files import file_system
from data_contracts.settings import Settings
from spark_jobs.ingest.sources import SOURCES, Layout, Source

_MARKERS = frozenset({"_SUCCESS", "_MANIFEST", "_manifest.json", "manifest.json"})
_ORIGINS = ("tecd", "dwh", "events")


def not_arrived(settings: Settings, as_of: date) -> list[str]:
    """What is still missing, in words, ready for a person; empty when the night may start."""
    roots = {origin: root for origin in _ORIGINS if (root := getattr(settings, origin))}
    if not roots:
        return ["no source is set: give RECS_TECD, RECS_DWH or RECS_EVENTS"]
    return [text for origin, root in roots.items() for text in _missing(origin, root.rstrip("/"), as_of, settings)]


def _missing(origin: str, root: str, as_of: date, settings: Settings) -> Iterator[str]:
    sources = [source for source in SOURCES if source.origin == origin and source.is_dated]
    known = [source for source in sources if _exists(f"{root}/{source.folder}")]
    if not known:
        yield f"{root}: nothing of source {origin} here; expected one of {', '.join(one.folder for one in sources)}"
    for source in known:
        text = _export(root, source, as_of) if source.layout is Layout.EXPORTED else None
        text = _events(root, source, as_of - timedelta(days=1), settings) if source.has_events else text
        if text is not None:
            yield text


def _export(root: str, source: Source, as_of: date) -> str | None:
    folder = f"{root}/{source.folder}/dt={as_of.isoformat()}"
    if not _exists(folder):
        return f"{folder}: not there yet"
    return None if _MARKERS & set(_names(folder)) else f"{folder}: no _SUCCESS or manifest yet"


def _events(root: str, source: Source, day: date, settings: Settings) -> str | None:
    folder = f"{root}/{source.folder}"
    if source.layout is Layout.NUMBERED:
        number = (day - settings.tecd_day_zero).days
        there = _exists(f"{folder}/{number:05d}.pq")
        return None if there else f"{folder}: no file {number:05d}.pq of {day} yet"
    there = any(name.endswith(".avro") for name in _names(f"{folder}/{day.isoformat()}", recursive=True))
    return None if there else f"{folder}: nothing of {day} yet"


def _exists(uri: str) -> bool:
    system, path = file_system(uri)
    return bool(system.get_file_info(path).type != fs.FileType.NotFound)


def _names(uri: str, *, recursive: bool = False) -> Iterable[str]:
    system, path = file_system(uri)
    found = system.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=recursive))
    return [re.sub(r".*/", "", info.path) for info in found if info.type == fs.FileType.File]
