"""Folders of the lake that belong to nights gone by: snapshots, their reports, models and versions of models."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

from pyarrow import fs

from dagster_project.files import file_system, read_bytes
from data_contracts.manifest import MANIFEST_FILE
from data_contracts.models import ALIASES_FILE, VERSIONS_FOLDER, aliases_from_json
from data_contracts.night import parse_snapshot_id


@dataclass(frozen=True)
class Folder:
    """A snapshot's folder; one without a manifest was never finished."""

    snapshot_id: str
    is_finished: bool

    @property
    def order(self) -> tuple[date, int]:
        return parse_snapshot_id(self.snapshot_id)


@dataclass(frozen=True)
class Removed:
    snapshots: tuple[str, ...]
    models: tuple[str, ...]
    bytes: int


def old_snapshots(folders: Iterable[Folder], *, keep: int, needed: Iterable[str]) -> tuple[str, ...]:
    """All before the newest finished one, but the newest `keep` finished ones and the `needed`.

    Later ones than the newest finished may still be written.
    """
    ordered = sorted(folders, key=lambda one: one.order)
    finished = [one.snapshot_id for one in ordered if one.is_finished]
    staying = {*finished[-keep:], *needed}
    names = [one.snapshot_id for one in ordered]
    before_newest = names[: names.index(finished[-1])] if finished else []
    return tuple(name for name in before_newest if name not in staying)


def remove_old(lake: str, *, keep: int, needed: Iterable[str]) -> Removed:
    """Remove old snapshots with their reports, and models of as-ofs that no snapshot is left of and that lie before
    the first that stays; of versions of models never those that an alias points to, or that a demotion goes back to.
    """
    system, root = file_system(lake)
    folders = [_folder(system, path) for path in _folders(system, f"{root}/snapshots") if _is_snapshot(path)]
    old = old_snapshots(folders, keep=keep, needed=needed)
    staying = {parse_snapshot_id(one.snapshot_id)[0].isoformat() for one in folders if one.snapshot_id not in old}
    models = [PurePosixPath(path).name for path in _folders(system, f"{root}/models")]
    models += _free_versions(system, lake, root)
    orphans = tuple(sorted(name for name in models if staying and PurePosixPath(name).name < min(staying)))
    gone = [f"{root}/{kind}/{name}" for name in old for kind in ("snapshots", "reports")]
    gone += [f"{root}/models/{name}" for name in orphans]
    size = sum(_remove(system, path) for path in gone)
    return Removed(snapshots=old, models=orphans, bytes=size)


def _free_versions(system: fs.FileSystem, lake: str, root: str) -> list[str]:
    """Folders of model versions, below the folder of models, that nobody may go back to."""
    try:
        aliases = aliases_from_json(read_bytes(f"{lake}/{ALIASES_FILE}"))
    except FileNotFoundError:
        aliases = {}
    kept = {PurePosixPath(model.uri).name for one in aliases.values() for model in one.kept}
    folders = [path for name in _folders(system, f"{root}/{VERSIONS_FOLDER}") for path in _folders(system, name)]
    below = [PurePosixPath(path).relative_to(PurePosixPath(root) / "models") for path in folders]
    return [str(path) for path in below if path.name not in kept]


def _folders(system: fs.FileSystem, path: str) -> list[str]:
    infos = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return sorted(info.path for info in infos if info.type == fs.FileType.Directory)


def _is_snapshot(path: str) -> bool:
    return PurePosixPath(path).name[:1].isdigit()


def _folder(system: fs.FileSystem, path: str) -> Folder:
    has_manifest = system.get_file_info(f"{path}/{MANIFEST_FILE}").type == fs.FileType.File
    return Folder(PurePosixPath(path).name, is_finished=has_manifest)


def _remove(system: fs.FileSystem, path: str) -> int:
    """Returns the bytes that were in it."""
    infos = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    if system.get_file_info(path).type == fs.FileType.Directory:
        system.delete_dir(path)
    return sum(info.size for info in infos if info.type == fs.FileType.File)
