"""Contracts as they lie somewhere: in a file, in a folder, or at a git revision of this repository."""

import io
import subprocess
import tarfile
from pathlib import Path

from data_contracts.errors import InputError
from data_contracts.tables import TABLES, TableContract, parse_contract


def contracts_at(place: str) -> dict[str, TableContract]:
    """By table name. Raises InputError when the place is none of the three, or holds no or broken contracts."""
    path = Path(place)
    if path.is_file():
        texts = {str(path): path.read_text(encoding="utf-8")}
    elif path.is_dir():
        texts = {str(file): file.read_text(encoding="utf-8") for file in sorted(path.glob("*.yaml"))}
    else:
        texts = _at_revision(place)
    if not texts:
        raise InputError(f"{place}: no contracts there: give a YAML file, a folder of them, or a git revision")
    parsed = [parse_contract(text, where=where) for where, text in texts.items()]
    return {one.name: one for one in parsed}


def _at_revision(revision: str) -> dict[str, str]:
    """Texts by file, from git's archive of the tables' folder."""
    command = ["git", "-C", str(TABLES), "archive", "--format=tar", "--end-of-options", revision, "."]
    ended = subprocess.run(command, capture_output=True, check=False)
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        why = said[-1] if said else "git said nothing"
        raise InputError(f"{revision}: neither a file, nor a folder, nor a git revision with contracts ({why})")
    with tarfile.open(fileobj=io.BytesIO(ended.stdout)) as archive:
        files = [member for member in archive.getmembers() if member.isfile() and member.name.endswith(".yaml")]
        return {f"{revision}:{member.name}": _text(archive, member) for member in files}


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    content = archive.extractfile(member)
    return "" if content is None else content.read().decode("utf-8")
