"""Files of the life cycle in the lake: versions, each under a name of its own and checked against its SHA-256 when
used; what a night scores with; what the registry said last.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date

from pyarrow import fs

from data_contracts.errors import InputError
from data_contracts.models import (
    ALIASES_FILE,
    NIGHT_FILE,
    VERSIONS_FOLDER,
    Aliases,
    ModelVersion,
    NightModels,
    aliases_from_json,
    aliases_to_json,
)
from data_contracts.night import NightParams
from spark_jobs.lake.files import digests_of, file_system, read_bytes, write_bytes


def folder_files(uri: str, folders: Sequence[str]) -> dict[str, bytes]:
    """Content by path below `uri`, of all files in some folders of it."""
    system, root = file_system(uri)
    found: dict[str, bytes] = {}
    for folder in folders:
        for info in system.get_file_info(fs.FileSelector(f"{root}/{folder}", allow_not_found=True, recursive=True)):
            if info.type == fs.FileType.File:
                name = info.path.removeprefix(root).strip("/")
                found[name] = read_bytes(f"{uri}/{name}")
    return dict(sorted(found.items()))


def keep_files(lake: str, name: str, as_of: date, files: Mapping[str, bytes]) -> tuple[str, dict[str, str]]:
    """Copy to a folder named after what is in it, so that nothing ever overwrites a version; its URI, the digests."""
    digests = digests_of(files)
    whole = hashlib.sha256("".join(f"{path}:{digest}\n" for path, digest in digests.items()).encode()).hexdigest()
    uri = f"{lake}/{VERSIONS_FOLDER}/{name}/{as_of.isoformat()}-{whole[:16]}"
    for path, content in files.items():
        write_bytes(f"{uri}/{path}", content)
    return uri, digests


def checked_files(model: ModelVersion) -> dict[str, bytes]:
    """All files of a version. Raises InputError for one that is gone or is not what was registered."""
    files = {}
    for path, digest in model.files.items():
        where, advice = f"{model.uri}/{path}", f"restore it, or recs demote {model.name}"
        try:
            files[path] = read_bytes(where)
        except FileNotFoundError as error:
            raise InputError(f"{model.name} {model.told}: {where} is gone: {advice}") from error
        if hashlib.sha256(files[path]).hexdigest() != digest:
            raise InputError(
                f"{model.name} {model.told}: {where} is not the file that was registered (SHA-256 differs): {advice}"
            )
    return files


def bring(model: ModelVersion, models_uri: str, folders: Sequence[str]) -> None:
    """Put some of a version's folders into the night's own. Raises InputError, see `checked_files`."""
    for path, content in checked_files(model).items():
        if path.partition("/")[0] in folders:
            write_bytes(f"{models_uri}/{path}", content)


def leave(params: NightParams, plan: NightModels) -> None:
    write_bytes(f"{params.models_uri}/{NIGHT_FILE}", plan.model_dump_json(indent=1).encode())


def night_models(params: NightParams) -> NightModels | None:
    """What was planned, and later what scores; None where no life cycle began."""
    try:
        return NightModels.model_validate_json(read_bytes(f"{params.models_uri}/{NIGHT_FILE}"))
    except FileNotFoundError:
        return None


def remembered(lake: str) -> dict[str, Aliases]:
    """What the registry said last."""
    try:
        return aliases_from_json(read_bytes(f"{lake}/{ALIASES_FILE}"))
    except FileNotFoundError:
        return {}


def remember(lake: str, aliases: Mapping[str, Aliases]) -> None:
    write_bytes(f"{lake}/{ALIASES_FILE}", aliases_to_json(dict(aliases)))
