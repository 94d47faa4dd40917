"""Experiments to test with, and the folder they are read from."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from data_contracts.experiments import Experiment

BODY: Mapping[str, Any] = {
    "name": "lists",
    "salt": "one",
    "layer": "lists",
    "arms": {"personal": {"share": 0.6, "variant": "personal"}, "segment": {"share": 0.4, "variant": "segment"}},
    "start": date(2026, 3, 1),
    "end": date(2026, 4, 1),
}


def experiment(**changes: Any) -> Experiment:
    return Experiment.model_validate({**BODY, **changes})


def folder_of(folder: Path, *bodies: Mapping[str, Any]) -> Path:
    """With one file a body, `0.yaml` and so on."""
    folder.mkdir(exist_ok=True)
    for number, body in enumerate(bodies):
        (folder / f"{number}.yaml").write_text(yaml.safe_dump({**BODY, **body}), encoding="utf-8")
    return folder
