"""A docstring, comment or page that points at a file of ours points at one that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FOLDERS = ("api", "dagster_project", "data_contracts", "infra", "spark_jobs", "sql", "tests")
_POINTER = re.compile(rf"(?<![\w./}}-])(?:{'|'.join(_FOLDERS)})/[\w/.-]*\w\.(?:avsc|md|proto|py|sql|yaml)\b")


def test_every_file_that_is_pointed_at_is_there() -> None:
    sources = [*ROOT.glob("*.md"), *(path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.*"))]
    texts = {path: path.read_text() for path in sources if path.suffix in {".md", ".py", ".sql", ".yaml"}}
    pointers = {(path, found) for path, text in texts.items() for found in _POINTER.findall(text)}
    lost = sorted(f"{path.relative_to(ROOT)}: {found}" for path, found in pointers if not (ROOT / found).exists())
    assert len(pointers) > 20
    assert lost == []
