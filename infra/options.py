"""Options that several commands share, and the settings that they make."""

import os
import pwd
from pathlib import Path
from typing import Annotated, Any

import typer

from data_contracts.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder of the embedded stack. [default: RECS_DATA_DIR]")]


def settings_of(**given: Any) -> Settings:
    """Settings with those options that were given."""
    return Settings(**{name: value for name, value in given.items() if value is not None})


def actor() -> str:
    """Who runs this command, by the system and not by variables that anybody may set."""
    return pwd.getpwuid(os.geteuid()).pw_name
