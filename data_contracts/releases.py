"""The contracts as last released, `released_tables.yaml`: what today's are held against, so that no promise is broken
without a new major version. `recs contracts release` rewrites the file; git keeps the older ones.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import yaml

from data_contracts.errors import InputError
from data_contracts.table_diff import Change, diff_all, version_fault
from data_contracts.tables import TableContract, parse_contract

RELEASED = Path(__file__).parent / "released_tables.yaml"
_HEADER = "# The contracts as last released. Written by `recs contracts release`, not by hand.\n"


def released(path: Path = RELEASED) -> dict[str, TableContract]:
    """By table name; none where nothing was ever released."""
    documents = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {
        name: parse_contract(yaml.safe_dump(document), where=f"{path}: {name}") for name, document in documents.items()
    }


def faults(old: Mapping[str, TableContract], new: Mapping[str, TableContract]) -> list[str]:
    """Every version number that does not tell what changed since the release, and every table that went away."""
    gone = [f"{name}: released, and no longer there" for name in sorted(old.keys() - new.keys())]
    changed = [version_fault(old[name], new[name]) for name in sorted(old.keys() & new.keys())]
    return gone + [fault for fault in changed if fault]


def release(
    new: Mapping[str, TableContract], *, dropped: Collection[str] = (), path: Path = RELEASED
) -> tuple[Change, ...]:
    """Record the contracts as released; returns what changed. `dropped`: tables that may be missing.

    Raises InputError when a version number does not tell what changed; the record stays as it was.
    """
    old = released(path)
    kept = {name: one for name, one in old.items() if name not in dropped}
    if wrong := faults(kept, new):
        raise InputError(f"not released: {'; '.join(wrong)}")
    documents = {name: one.model_dump(mode="json", exclude_defaults=True) for name, one in sorted(new.items())}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(_HEADER + yaml.safe_dump(documents, sort_keys=False, allow_unicode=True, width=120))
    temporary.replace(path)
    return diff_all(old, new)
