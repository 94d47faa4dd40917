"""One job all the way: archives, arguments, s3a, messages, the driver's output; and no cluster left."""

from pathlib import Path

import dagster as dg
from pyarrow import fs

from dagster_project.assets import ingest
from dagster_project.dataproc.runner import short
from dagster_project.files import file_system
from dagster_project.launching import launching
from dagster_project.partitions import nights
from tests.cloud.conftest import Starts, files_below, put_folder
from tests.cloud.container import run_in_container
from tests.integration.dagster_fakes import QUIET
from tests.spark.ingest_samples import AS_OF, Deliveries
from tests.spark.test_ingest_night import deliver_bank, deliver_partners


def test_a_job_on_a_cluster_writes_tables_over_s3a_and_reports_to_dagster(
    start_cloud: Starts, bucket: str, jobs_bucket: str, tmp_path: Path
) -> None:
    deliveries = Deliveries(tmp_path / "deliveries")
    deliveries.root.mkdir()
    deliver_partners(deliveries)
    deliver_bank(deliveries)
    put_folder(deliveries.root, f"s3a://{bucket}/in")
    sources = {name: f"s3a://{bucket}/in/{name}" for name in ("tecd", "dwh", "events", "reference")}
    cloud, settings = start_cloud(run_in_container, **sources)
    with launching(settings) as runner:
        ended = dg.materialize(
            ingest.build(nights(settings)),
            partition_key=AS_OF.isoformat(),
            resources={"settings": settings, "spark_runner": runner},
            raise_on_error=False,
            run_config=QUIET,
        )
        logs = "".join(path.read_text(errors="replace") for path in cloud.folder.glob("*.log"))
        assert ended.success, logs[-6000:]
        assert len(cloud.clusters) == 1
    rows = {
        made.asset_key.to_user_string(): made.metadata["rows"].value
        for made in ended.asset_materializations_for_node("ingest_job")
    }
    assert min(rows[f"silver/{table}"] for table in ("interactions", "customers", "product_events", "catalogue")) > 0
    system, lake = file_system(settings.lake_uri)
    commits = system.get_file_info(fs.FileSelector(f"{lake}/silver/interactions/_delta_log"))
    assert any(info.base_name == "00000000000000000000.json" for info in commits)
    assert cloud.clusters == {}
    assert set(cloud.created.values()) == {1}, "one cluster, one job"
    left = [
        name for name in files_below(f"s3a://{jobs_bucket}/recs/jobs") if f"recs-{short(settings.lake_uri)}-" in name
    ]
    assert not left, "requests hold keys and go with their job"
    kept = {name.rpartition("/")[2].rsplit("-", 1)[0] for name in files_below(f"s3a://{jobs_bucket}/recs/packages")}
    assert {"project", "environment", "submitted"} <= kept
