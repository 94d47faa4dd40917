"""The demo's last scene, as a campaign tool plays it: lists are pulled, an audience is made, an export is confirmed."""

import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from api.bulk_formats import Format
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Scope
from infra.calling import base_url, call, opened
from infra.console import console, show
from infra.exporting import fetch, written
from infra.pulling import Source, pull
from infra.tokens import own_token

_TOP_K, _SIZE, _CONTROL_SHARE = 3, 200, 0.1


def show_crm(settings: Settings, snapshot_id: str) -> None:
    """What came of each step, as a table. The export is of one segment, so that most are left for the next demo."""
    started = time.monotonic()
    lists = _lists(settings)
    product, segment = _subject(Path(settings.lake_uri) / "snapshots" / snapshot_id)
    audience, best = _audience(settings, product)
    export = _export(settings, segment)
    rows = [
        {"what": "lists, NDJSON", "users": lists["lists"], "came": f"{lists['items']} items, checksum right"},
        {"what": f"audience of {product}", "users": len(best), "came": _expectation(audience)},
        {
            "what": f"export of segment {segment}, CSV",
            "users": export["lists"],
            "came": f"pulled, {export['state']}, {export['contacts']} contacts",
        },
    ]
    show(rows, as_json=False, title=f"for CRM, in {time.monotonic() - started:.1f} s")
    show(best[:_TOP_K], as_json=False, title=f"best of {product}")
    console.print(f"lists in {settings.data_dir / 'lists.ndjson'}, the export in {export['uri']}", soft_wrap=True)


def _lists(settings: Settings) -> Mapping[str, Any]:
    parameters = {"channel": Channel.CRM.value, "top_k": _TOP_K, "format": Format.NDJSON.value}
    source = Source(base_url(settings, None), parameters, token=lambda: own_token(settings, Scope.LISTS_READ))
    return pull(source, settings.data_dir / "lists.ndjson", format_=Format.NDJSON, tries=2)


def _subject(snapshot: Path) -> tuple[str, int]:
    """The product that heads most lists, and the largest segment."""
    heads = pq.read_table(snapshot / "lists", columns=["product_items"])["product_items"].to_pandas()
    code = int(heads[heads.str.len() > 0].str[0].mode()[0])
    items = pq.read_table(snapshot / "items", columns=["item_code", "item_id"]).to_pandas()
    segments = pq.read_table(snapshot / "user_state", columns=["segment"])["segment"].to_pandas().value_counts()
    return str(items.set_index("item_code")["item_id"][code]), int(segments.index[0])


def _audience(settings: Settings, product: str) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    order = {"product_id": product, "channel": Channel.CRM.value, "size": _SIZE, "control_share": _CONTROL_SHARE}
    made = call(settings, "/audiences", scope=Scope.AUDIENCES_WRITE, body=order)
    with opened(settings, f"/audiences/{made['id']}/members", scope=Scope.LISTS_READ) as lines:
        *members, _ = map(json.loads, lines)
    return made["outcome"], members


def _expectation(outcome: Mapping[str, Any]) -> str:
    told = outcome["conversions"]
    return (
        f"{told['expected']:.1f} conversions expected ({told['low']:.1f} to {told['high']:.1f}), "
        f"{outcome['control']} held out"
    )


def _export(settings: Settings, segment: int) -> Mapping[str, Any]:
    order = {
        "request_key": f"demo {uuid.uuid4()}",
        "channel": Channel.CRM.value,
        "format": Format.CSV.value,
        "segment": segment,
        "top_k": 1,
    }
    told = written(settings, order)
    for name in told["files"]:
        fetch(settings, told["export_id"], name, settings.data_dir)
    return call(settings, f"/exports/{told['export_id']}/sent", scope=Scope.EXPORTS_WRITE, body={"items": 1})
