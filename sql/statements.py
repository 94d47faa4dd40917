"""Reads `.sql` files. A statement's name is its path without the ending: `lists_v1/lookup`."""

import re
from functools import cache
from pathlib import Path

SQL_FOLDER = Path(__file__).parent
_COMMENT = re.compile(r"--.*?$", re.MULTILINE)


@cache
def statement(name: str) -> str:
    """One statement, without its comments: they are for readers, and every byte travels with every look-up."""
    text = (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    return _COMMENT.sub("", text).strip()
