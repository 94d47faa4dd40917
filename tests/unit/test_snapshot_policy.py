"""The gate's count of forbidden items beside that of a reader who shares no code with the policy."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data_contracts.catalogue import Catalogue, Eligibility, Prerequisite, Prohibition, Rules
from data_contracts.policy import compile_policy
from data_contracts.vocabulary import Family
from spark_jobs.scoring.fallback import fallback_table
from spark_jobs.scoring.gate import SnapshotTables, judge
from spark_jobs.scoring.snapshot import items_table, write_documents, write_small
from tests.snapshot_checker import Read, read_lists
from tests.unit.scoring_samples import AS_OF, REASONS, product

CATALOGUE = Catalogue(
    version="1",
    products=(
        product("card", Family.CARD, 1, safe_for_anyone=True),
        product("gold_card", Family.CARD, 1),
        product("silver_card", Family.CARD, 1),
        product("black_card", Family.CARD, 1),
        product("deposit", Family.DEPOSIT, 1, eligibility=Eligibility(min_age=30)),
        product("loan", Family.LOAN, 1, eligibility=Eligibility(max_score_band=3, max_arrears_days=5)),
        product("old_loan", Family.LOAN, 1, on_sale_to=date(2025, 1, 1)),
        product("mortgage", Family.MORTGAGE, 1, eligibility=Eligibility(regions=(1, 2))),
        product("insurance", Family.INSURANCE, 1),
        product("fund", Family.INVESTMENT, 1),
    ),
)
RULES = Rules(
    version="1",
    prohibitions=(Prohibition(left="loan", right="fund", why="debt is paid back first"),),
    prerequisites=(Prerequisite(product_id="insurance", any_of=("mortgage",)),),
    family_caps={Family.CARD: 2},
    blocked_items=("black_card", "offer:2"),
)
OFFERS = [f"offer:{number}" for number in range(1, 25)]
CODES = {name: code for code, name in enumerate([*(one.product_id for one in CATALOGUE.products), *OFFERS])}
SOUND_PRODUCTS, SOUND_OFFERS = ("card", "deposit", "loan", "mortgage"), ("offer:1", "offer:3")
NO_FALLBACK = fallback_table({}, {}, reason=9)
NOTHING_KNOWN = {"birth_year": 0, "region": -1, "score_band": 0, "arrears_days": -1, "consents": 0}


@dataclass(frozen=True)
class Planted:
    """A fault in one user's list, or in what is known of them. count: forbidden items; says: words of the reader."""

    count: int
    says: tuple[str, ...]
    products: tuple[str, ...] = SOUND_PRODUCTS
    offers: tuple[str, ...] = SOUND_OFFERS
    held: tuple[str, ...] = ()
    state: tuple[tuple[str, int], ...] = ()


FAULTS = {
    "held": Planted(1, ("card: held",), held=("card",)),
    "too young": Planted(1, ("deposit: not eligible",), state=(("birth_year", 2000),)),
    "of an unknown age": Planted(1, ("deposit: not eligible",), state=(("birth_year", 0),)),
    "a poor score and another region": Planted(
        2, ("loan: not eligible", "mortgage: not eligible"), state=(("score_band", 5), ("region", 7))
    ),
    "in arrears": Planted(1, ("loan: not eligible",), state=(("arrears_days", 6),)),
    "a stranger": Planted(
        3,
        tuple(f"{name}: not safe for an unknown user" for name in ("deposit", "loan", "mortgage")),
        state=tuple(NOTHING_KNOWN.items()),
    ),
    "no longer sold": Planted(1, ("old_loan: no longer sold",), products=("card", "old_loan")),
    "under a stop": Planted(1, ("black_card: blocked",), products=("black_card", "card")),
    "twice": Planted(1, ("card: shown twice",), products=("card", "deposit", "card")),
    "too many of a family": Planted(
        1, ("silver_card: too many of its family",), products=("card", "gold_card", "silver_card"), offers=()
    ),
    "two that exclude each other": Planted(1, ("fund: prohibited with a shown product",), products=("loan", "fund")),
    "one that excludes a held one": Planted(
        1, ("fund: prohibited with a held product",), products=("card", "fund"), held=("loan",)
    ),
    "what needs something else": Planted(1, ("insurance: prerequisite not held",), products=("insurance",)),
    "an offer under a stop, and one twice": Planted(
        2, ("offer:2: blocked", "offer:1: shown twice"), offers=("offer:1", "offer:2", "offer:1")
    ),
    "too many offers": Planted(
        3, tuple(f"offer:{number}: beyond the 20th" for number in (22, 23, 24)), offers=("offer:1", *OFFERS[2:])
    ),
}


def _state(user: int, planted: Planted | None) -> dict[str, Any]:
    known = {"birth_year": 1970, "region": 1, "income_band": -1, "score_band": 1, "arrears_days": 0, "consents": 31}
    own = {} if planted is None else {"holdings": [CODES[name] for name in planted.held], **dict(planted.state)}
    return {"user_id": user, "segment": 0, "holdings": [], "employment": "", **known, **own}


def _list(user: int, planted: Planted | None, *, variant: str = "personal") -> dict[str, Any]:
    row: dict[str, Any] = {"user_id": user, "variant": variant}
    chosen = planted or Planted(0, ())
    for kind, names in (("product", chosen.products), ("offer", chosen.offers)):
        scores = [900 - place for place in range(len(names))]
        row |= {f"{kind}_items": [CODES[name] for name in names], f"{kind}_scores": scores}
        row[f"{kind}_reasons"] = [0] * len(names)
    return row


def _written(folder: Path, *planted: Planted | None) -> tuple[float, list[Read]]:
    """What the gate counts against the policy, and every list as it was read, of one user for each that is planted.

    The last user has a list of a variant as well.
    """
    states = [_state(user, one) for user, one in enumerate(planted)]
    lists = [_list(user, one) for user, one in enumerate(planted)]
    lists.append(_list(len(planted) - 1, planted[-1], variant="uplift"))
    ints, small = pa.list_(pa.int32()), pa.list_(pa.uint16())
    types = {"items": ints, "scores": small, "reasons": small}
    schema = pa.schema(
        [
            ("user_id", pa.int64()),
            ("variant", pa.string()),
            *((f"{kind}_{name}", of) for kind in ("product", "offer") for name, of in types.items()),
        ]
    )
    state_schema = pa.Table.from_pylist(states).schema
    state_schema = state_schema.set(state_schema.get_field_index("holdings"), pa.field("holdings", ints))
    tables = {
        "lists": pa.Table.from_pylist(lists, schema=schema),
        "user_state": pa.Table.from_pylist(states, schema=state_schema),
        "items": items_table(CATALOGUE, OFFERS),
    }
    for name, table in tables.items():
        write_small(table, str(folder), name)
    write_documents(str(folder), catalogue=CATALOGUE, rules=RULES, reasons=REASONS)
    verdict = judge(
        SnapshotTables(tables["lists"].to_batches(max_chunksize=2), tables["user_state"], NO_FALLBACK, len(CODES)),
        catalogue=CATALOGUE,
        policy=compile_policy(CATALOGUE, RULES, today=AS_OF),
        blocked_offers=np.array([CODES["offer:2"]], np.int64),
    )
    (counted,) = (check.value for check in verdict.checks if check.name == "policy")
    assert counted is not None
    return counted, list(read_lists(folder, today=AS_OF))


def test_gate_and_reader_find_nothing_wrong_with_sound_lists(tmp_path: Path) -> None:
    counted, read = _written(tmp_path, None, None, None)
    assert counted == 0
    assert [(one.user_id, one.variant) for one in read] == [
        (0, "personal"), (1, "personal"), (2, "personal"), (2, "uplift"),
    ]  # fmt: skip
    assert all(one.wrong == () and one.dropped == 0 for one in read)


@pytest.mark.parametrize("fault", FAULTS)
def test_gate_and_reader_count_the_same_of_each_planted_fault(tmp_path: Path, fault: str) -> None:
    planted = FAULTS[fault]
    counted, read = _written(tmp_path, None, planted, None)
    assert counted == sum(one.dropped for one in read) == planted.count
    assert {one.user_id for one in read if one.wrong} == {1}
    assert {words for one in read for words in one.wrong} >= set(planted.says)


def test_gate_and_reader_count_the_same_of_all_faults_together(tmp_path: Path) -> None:
    counted, read = _written(tmp_path, None, *FAULTS.values())
    twice = list(FAULTS.values())[-1].count  # on the list of the variant too
    assert counted == sum(one.dropped for one in read) == sum(one.count for one in FAULTS.values()) + twice
