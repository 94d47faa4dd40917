"""The morning's standing exports: Dagster asks the running API for them by the command that people use."""

from pathlib import Path

import dagster as dg

from dagster_project.assets import exports
from dagster_project.partitions import nights
from data_contracts.settings import Settings
from infra.demo_event import running
from infra.local.embedded import free_port
from infra.stack import wait_until_ready
from sql.client import Address
from tests.day_world import FIRST
from tests.integration.dagster_fakes import QUIET
from tests.integration.test_exports import _forget_contacts


def test_a_published_night_makes_its_standing_exports_once(bulk_address: Address, tmp_path: Path) -> None:
    folder = tmp_path / "standing"
    folder.mkdir()
    for name, format_ in (("crm_morning", "csv"), ("web_morning", "parquet")):
        channel = name.partition("_")[0]
        (folder / f"{name}.yaml").write_text(f"name: {name}\nchannel: {channel}\nformat: {format_}\npartitions: 2\n")
    settings = Settings(
        data_dir=tmp_path,
        clickhouse_url=bulk_address.url,
        api_port=free_port(),
        grpc_port=0,
        auth="off",
        max_snapshot_age_days=36_500,
        standing_exports=folder,
    )
    (standing,) = exports.build(nights(settings))
    day = FIRST.partition(".")[0]

    def made() -> dict[str, dg.MetadataValue]:
        result = dg.materialize([standing], partition_key=day, resources={"settings": settings}, run_config=QUIET)
        (event,) = result.asset_materializations_for_node("standing_exports")
        return dict(event.metadata)

    with running("api", ["api"], settings):
        wait_until_ready(f"http://127.0.0.1:{settings.api_port}/healthz")
        first = made()
        assert made() == first
    _forget_contacts(bulk_address)
    uris = first["exports"].value
    assert isinstance(uris, dict)
    files = [file for uri in uris.values() for file in Path(uri).rglob("part-*")]
    assert set(uris) == {"crm_morning", "web_morning"}
    assert all((Path(uri) / "manifest.json").exists() for uri in uris.values())
    assert (first["files"].value, first["bytes"].value) == (4, sum(file.stat().st_size for file in files))
    assert isinstance(first["rows"].value, int)
    assert first["rows"].value > 0
