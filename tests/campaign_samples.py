"""Campaigns to test with, the folder they are read from, and a lake whose snapshot they are assigned by."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from data_contracts.campaigns import Campaign
from data_contracts.scores import quantise
from tests.day_world import CATALOGUE, CODES, EVERYTHING, RULES, items_table
from tests.sql.snapshots import snapshot_tables, write_manifest

BODY: Mapping[str, Any] = {
    "name": "loans",
    "product": "loan_cash",
    "channel": "crm",
    "start": date(2026, 3, 1),
    "end": date(2026, 4, 1),
    "budget": 100,
    "message": {"en": "Hello", "ru": "Привет"},
    "owner": "crm",
}
SNAPSHOT = "2026-03-16.1"
USERS = 600
# Of every twelve users one holds the loan, one has no consent for CRM, and one is too young for it.
HOLDERS, SILENT, YOUNG = (np.arange(1, USERS + 1) % 12 == rest for rest in (0, 1, 2))


def campaign(**changes: Any) -> Campaign:
    return Campaign.model_validate({**BODY, **changes})


def folder_of(folder: Path, *bodies: Mapping[str, Any]) -> Path:
    """With one file a body, `0.yaml` and so on; a value None leaves the field out."""
    folder.mkdir(exist_ok=True)
    for number, body in enumerate(bodies):
        told = {name: value for name, value in {**BODY, **body}.items() if value is not None}
        (folder / f"{number}.yaml").write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")
    return folder


def write_lake(lake: Path) -> str:
    """One snapshot of `USERS` users, each with a loan, a deposit and a card on their list, as likely as chance has it.

    Returns the lake's URI.
    """
    random, folder = np.random.default_rng(5), lake / "snapshots" / SNAPSHOT
    items = [CODES[name] for name in ("loan_cash", "deposit_year", "card_gold")]
    scores = quantise(np.sort(random.uniform(0.001, 0.2, (USERS, 3)), axis=1)[:, ::-1])
    lists = {
        "user_id": np.arange(1, USERS + 1),
        "variant": ["personal"] * USERS,
        "product_items": pa.array([items] * USERS, pa.list_(pa.int32())),
        "product_scores": pa.array(scores.tolist(), pa.list_(pa.uint16())),
        "product_reasons": pa.array([[0] * len(items)] * USERS, pa.list_(pa.int32())),
        **{f"offer_{name}": pa.array([[]] * USERS, pa.list_(pa.int32())) for name in ("items", "scores", "reasons")},
    }
    whom = snapshot_tables(users=USERS, random=random)
    unsaid = {"region": 7, "income_band": 2, "score_band": 1, "arrears_days": 0}
    state = {
        "user_id": lists["user_id"],
        "segment": pa.array(np.arange(USERS) % 2 + 1, pa.int16()),
        "holdings": pa.array([[CODES["loan_cash"]] if holds else [] for holds in HOLDERS], pa.list_(pa.int32())),
        "birth_year": pa.array(np.where(YOUNG, 2010, 1980), pa.int16()),
        "employment": ["employed"] * USERS,
        "consents": pa.array(np.where(SILENT, EVERYTHING & ~4, EVERYTHING), pa.int16()),
        **{name: pa.array([value] * USERS, pa.int16()) for name, value in unsaid.items()},
    }
    codes = pa.array(range(len(CODES)), pa.int32())
    tables = {
        "lists": pa.table(lists),
        "user_state": pa.table(state),
        "items": items_table().add_column(0, "item_code", codes),
        "fallback_lists": whom["fallback_lists"].slice(0, 0),
    }
    for name, table in {**whom, **tables}.items():
        (folder / name).mkdir(parents=True)
        pq.write_table(table, folder / name / "part-00000.parquet")
    (folder / "catalogue.json").write_text(CATALOGUE.model_dump_json(), encoding="utf-8")
    (folder / "rules.json").write_text(RULES.model_dump_json(), encoding="utf-8")
    write_manifest(folder, snapshot_id=SNAPSHOT)
    return str(lake)
