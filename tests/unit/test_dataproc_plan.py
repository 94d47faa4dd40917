"""The file that describes a cluster, and what is refused before anything is started."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from dagster_project.dataproc.clusters import Found, create_request
from dagster_project.dataproc.jobs import Output
from dagster_project.dataproc.orphans import sorted_out
from dagster_project.dataproc.plan import ClusterPlan, read_plan
from dagster_project.dataproc.runner import DataprocSparkRunner, job_variables
from data_contracts.errors import InputError
from data_contracts.settings import Settings

PLAN = ClusterPlan(folder_id="b1g", bucket="jobs", subnet_id="net", service_account_id="account")
NOW = datetime(2026, 3, 16, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "dataproc.yaml: the file"),
        ("folder_id: [", "cannot be read as YAML"),
        ("folder_id: b1g\nbucket: jobs", "needs subnet_id and service_account_id"),
        ("folder_id: b1g\nbucket: jobs\nstanding_cluster_id: c1\nnodes: 3", "nodes: Extra inputs"),
        ("folder_id: b1g\nbucket: jobs\nstanding_cluster_id: c1\njob_hours: -1", "job_hours: Input should be greater"),
    ],
)
def test_a_file_that_describes_no_cluster_is_refused_by_name_and_place(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "dataproc.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        read_plan(path)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "RECS_LAKE"),
        ({"lake": "s3a://lake/recs"}, "RECS_MLFLOW_URL"),
        ({"lake": "s3a://lake/recs", "mlflow_url": "https://mlflow"}, "RECS_DATAPROC"),
    ],
)
def test_what_a_cluster_cannot_see_is_refused_before_it_costs_anything(given: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        DataprocSparkRunner(Settings(spark_runner="dataproc", **given))


def test_the_days_secrets_do_not_travel_to_a_cluster() -> None:
    environment = {
        "RECS_IDENTITY_KEY": "lockbox:a#b",
        "RECS_CLICKHOUSE_PASSWORD": "secret",
        "RECS_REC_ID_KEY": "secret",
        "RECS_TOKEN": "secret",
        "RECS_DATAPROC_TOKEN": "secret",
        "RECS_ALERT_WEBHOOK_URL": "secret",
        "RECS_VACUUM_HOURS": "48",
        "AWS_REGION": "ru-central1",
        "HOME": "/root",
    }
    assert set(job_variables(environment)) == {"RECS_IDENTITY_KEY", "RECS_VACUUM_HOURS", "AWS_REGION"}


def test_files_of_this_machine_are_not_named_to_a_cluster_which_has_none_of_them() -> None:
    here = {
        "RECS_LOCKBOX_KEY_FILE": "/etc/recs/lockbox/key.json",
        "RECS_LOCKBOX_CA_FILE": "/etc/recs/ca/ca.crt",
        "RECS_CLICKHOUSE_CA_FILE": "/etc/recs/ca/ca.crt",
        "RECS_KAFKA_CA_FILE": "/etc/recs/ca/ca.crt",
        "RECS_TLS_CERTIFICATE": "/etc/recs/tls/tls.crt",
        "RECS_TLS_KEY": "/etc/recs/tls/tls.key",
        "RECS_TLS_CLIENT_CA": "/etc/recs/tls/ca.crt",
        "RECS_DATA_DIR": "/data",
        "RECS_DATAPROC": "/etc/recs/dagster/dataproc.yaml",
        "AWS_CA_BUNDLE": "/etc/ssl/bank.pem",
        "AWS_SHARED_CREDENTIALS_FILE": "/root/.aws/credentials",
    }
    everywhere = {"RECS_LAKE": "s3a://lake", "RECS_MLFLOW_URL": "http://mlflow", "AWS_ACCESS_KEY_ID": "a"}
    assert job_variables(here | everywhere) == everywhere


def test_compute_hosts_scale_and_only_they_are_preemptible() -> None:
    plan = ClusterPlan.model_validate({**PLAN.model_dump(), "compute": {"max_count": 8, "preemptible": True}})
    master, data, compute = create_request(plan, name="recs-a", night="run").config_spec.subclusters_spec
    assert not master.HasField("autoscaling_config")
    assert not data.HasField("autoscaling_config")
    assert (compute.autoscaling_config.max_hosts_count, compute.autoscaling_config.preemptible) == (8, True)


def test_a_growing_log_is_handed_on_once_page_by_page() -> None:
    text, output, got = "", Output(), ""
    for written in ("ab", "cdefg", "", "hijklmnop"):
        text += written
        got += "".join(output.news(partial(_page, text)))
    assert got == text


def _page(text: str, token: str, size: int = 4) -> tuple[str, str]:
    start = int(token or 0)
    return text[start : start + size], str(start + size) if start + size < len(text) else ""


def test_a_cluster_is_left_when_its_night_has_not_run_for_a_while_or_it_is_older_than_any_night() -> None:
    found = [
        Found("just-died", "recs-a", "dead", NOW - timedelta(hours=1)),
        Found("long-dead", "recs-b", "dead", NOW - timedelta(hours=2)),
        Found("at-work", "recs-c", "alive", NOW - timedelta(hours=3)),
        Found("stuck", "recs-d", "alive", NOW - timedelta(hours=PLAN.cluster_hours + 1)),
    ]
    known = {"long-dead": (NOW - timedelta(minutes=PLAN.orphan_minutes)).isoformat()}
    idle, old = sorted_out(found, known, PLAN, running=frozenset({"alive"}), now=NOW)
    assert [one.cluster_id for one in old] == ["long-dead", "stuck"]
    assert idle == {"just-died": NOW.isoformat(), **known}
