"""Standing exports as files: refused with file, line and field; asked of the API as it takes them."""

from datetime import date
from pathlib import Path

import pytest

from api.routes_exports import ExportOrder
from data_contracts import exports
from data_contracts.errors import InputError
from data_contracts.exports import standing_exports

SHIPPED = Path(exports.__file__).parent


def test_the_example_is_an_order_that_the_api_takes_and_is_one_a_day() -> None:
    (one,) = standing_exports(SHIPPED)
    first, second = (ExportOrder.model_validate(one.order(date(2026, 3, day))) for day in (16, 17))
    assert (first.request_key, first.channel.value, first.bom) == ("standing crm_morning 2026-03-16", "crm", True)
    assert first.model_copy(update={"request_key": ""}) == second.model_copy(update={"request_key": ""})
    assert standing_exports(None) == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name: a\nchannel: crm\nformat: xlsx\n", "b.yaml:3: format: "),
        ("name: a\nchannel: crm\ntop: 3\n", "b.yaml:3: top: "),
        ("name: a\n\nchannel: pigeon\n", "b.yaml:3: channel: "),
        ("name: crm morning\nchannel: crm\n", "b.yaml:1: name: "),
        ("name: a\nchannel: crm\nchannel: web\n", "b.yaml:3: channel: stands twice"),
        ("name: first\nchannel: crm\n", "b.yaml:1: name: first is the name of a.yaml too"),
        ("- 1\n", "b.yaml:1: is no mapping"),
        ("name: [\n", "b.yaml:2: is no YAML"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "a.yaml").write_text("name: first\nchannel: crm\n")
    (tmp_path / "b.yaml").write_text(text)
    with pytest.raises(InputError) as refused:
        standing_exports(tmp_path)
    assert str(refused.value).startswith(why)
    with pytest.raises(InputError, match="is no folder"):
        standing_exports(tmp_path / "nothing")
