"""`recs contracts` lists, shows, compares and prints contracts, and says what it cannot read."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from data_contracts.errors import InputError
from data_contracts.tables import TABLES, all_contracts, table_names
from infra.cli import app
from infra.console import console
from infra.contract_places import contracts_at
from infra.contracts_page import page


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no table is folded; the console has read its width from the environment already."""
    monkeypatch.setattr(console, "width", 200)


def recs(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["contracts", *arguments])


def test_every_table_is_listed_for_machines() -> None:
    assert [row["table"] for row in json.loads(recs("--json").stdout)] == list(table_names())


def test_one_contract_is_shown_with_what_its_columns_may_hold() -> None:
    shown = recs("show", "silver.customers").stdout
    assert "valid_from" in shown
    assert "1900 to 2100" in shown
    assert "sensitive" in shown


def test_the_page_is_one_file_with_every_contract_in_it_and_asks_nobody_for_more(tmp_path: Path) -> None:
    file = tmp_path / "contracts.html"
    assert recs("--html", str(file)).exit_code == 0
    text = file.read_text()
    data = json.loads(re.findall(r'<script id="data"[^>]*>(.*?)</script>', text, re.DOTALL)[0])
    assert {one["name"] for one in data} == set(table_names())
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", text)


def test_a_description_cannot_break_out_of_the_page() -> None:
    people = all_contracts()["silver.people"]
    hostile = people.model_copy(update={"grain": "</script><script>alert(1)</script>"})
    assert "<script>alert(1)" not in page([hostile])


def test_two_folders_are_compared_and_an_incompatible_change_ends_with_code_one(tmp_path: Path) -> None:
    for name in ("silver.people", "silver.items"):
        (tmp_path / f"{name}.yaml").write_text((TABLES / f"{name}.yaml").read_text())
    assert recs("diff", str(tmp_path), str(tmp_path), "--json").exit_code == 0
    changed = tmp_path / "changed.yaml"
    changed.write_text((tmp_path / "silver.people.yaml").read_text().replace("name: region", "name: area"))
    ended = recs("diff", str(tmp_path / "silver.people.yaml"), str(changed), "--json")
    assert ended.exit_code == 1
    assert [(row["verdict"], row["change"].split(":")[0]) for row in json.loads(ended.stdout)] == [
        ("incompatible", "column region removed"),
        ("compatible", "column area added, nullable"),
    ]


def test_contracts_of_a_git_revision_are_those_that_were_committed() -> None:
    listed = subprocess.run(
        ["git", "-C", str(TABLES), "ls-tree", "--name-only", "HEAD", "./"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {f"{name}.yaml" for name in contracts_at("HEAD")} == set(listed.stdout.split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "neither a file, nor a folder, nor a git revision"),
        ("name: [", "no YAML"),
        ("", "the contract: "),
        ("- a list", "the contract: "),
        ("name: silver.x\nversion: one", "version: "),
    ],
)
def test_what_is_no_contract_is_refused_with_its_place(tmp_path: Path, text: str | None, message: str) -> None:
    place = tmp_path / "x.yaml"
    if text is not None:
        place.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        contracts_at(str(place))
    assert str(place) in str(caught.value)


def test_an_empty_folder_and_an_option_in_place_of_a_revision_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no contracts there"):
        contracts_at(str(tmp_path))
    with pytest.raises(InputError, match="nor a git revision"):
        contracts_at("--output=/tmp/anything")
