"""Faults at every call of a night on Data Proc: published exactly once, or not, with a clear error; no cluster left."""

import grpc
import pytest

from tests.cloud.conftest import Starts, files_below
from tests.cloud.fake_cloud import Cloud, Fault
from tests.cloud.small_night import do_nothing_and_report, failed_with, published, run_small_night

RUN = "11111111-2222-3333-4444-555555555555"
_CALLS = (
    "ApiEndpoint.List",
    "Cluster.List",
    "Cluster.Create",
    "Cluster.Get",
    "Cluster.Delete",
    "Operation.Get",
    "Job.List",
    "Job.Create",
    "Job.Get",
    "Job.ListLog",
)


def everything_once(cloud: Cloud) -> bool:
    return set(cloud.created.values()) == {1} and len(cloud.created) == 3


@pytest.mark.parametrize("method", _CALLS)
def test_a_call_that_fails_in_every_passing_way_costs_a_moment(start_cloud: Starts, method: str) -> None:
    cloud, settings = start_cloud(do_nothing_and_report, tecd="s3a://deliveries/tecd")
    cloud.faults += [
        Fault(method, grpc.StatusCode.UNAVAILABLE, nth=1, lost=True),
        Fault(method, grpc.StatusCode.DEADLINE_EXCEEDED, nth=2),
        Fault(method, grpc.StatusCode.INTERNAL, nth=4, lost=True),
    ]
    ended = run_small_night(settings, RUN)
    assert ended.success, failed_with(ended)
    assert published(settings) == 1
    assert everything_once(cloud), cloud.created
    assert cloud.clusters == {}


@pytest.mark.parametrize(
    ("code", "exit_code", "advice"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 4, "quota"),
        (grpc.StatusCode.PERMISSION_DENIED, 2, "dataproc.editor"),
        (grpc.StatusCode.INVALID_ARGUMENT, 2, "RECS_DATAPROC"),
        (grpc.StatusCode.UNAVAILABLE, 5, "does not answer"),
    ],
)
@pytest.mark.parametrize("method", ["Cluster.Create", "Job.Create"])
def test_a_call_that_always_fails_ends_the_night_unpublished_with_advice(
    start_cloud: Starts, method: str, code: grpc.StatusCode, exit_code: int, advice: str
) -> None:
    cloud, settings = start_cloud(do_nothing_and_report, tecd="s3a://deliveries/tecd", plan={"patience_seconds": 0.3})
    cloud.faults += [Fault(method, code, times=99)]
    told, text = failed_with(run_small_night(settings, RUN))
    assert told == exit_code
    assert advice in text
    tries = {2: 1, 4: 1 + settings.max_retries}
    assert cloud.calls[method] == tries.get(exit_code, cloud.calls[method])
    assert published(settings) == 0
    assert cloud.clusters == {}


def test_a_cluster_that_does_not_start_is_deleted_and_tried_again(start_cloud: Starts) -> None:
    cloud, settings = start_cloud(do_nothing_and_report, tecd="s3a://deliveries/tecd")
    cloud.broken_starts += ["Initialization action failed"]
    assert run_small_night(settings, RUN).success
    assert sorted(cloud.created.values()) == [1, 1, 2]
    assert cloud.clusters == {}


@pytest.mark.parametrize(
    ("why", "exit_code", "advice"),
    [("Quota limit vcpu exceeded", 4, "more quota"), ("Hosts are not alive", 5, "look at its events")],
)
def test_clusters_that_never_start_end_the_night_with_the_clouds_words(
    start_cloud: Starts, why: str, exit_code: int, advice: str
) -> None:
    cloud, settings = start_cloud(do_nothing_and_report, tecd="s3a://deliveries/tecd")
    cloud.broken_starts += [why] * 9
    told, text = failed_with(run_small_night(settings, RUN))
    assert (told, why in text, advice in text) == (exit_code, True, True)
    assert (published(settings), cloud.clusters) == (0, {})


def test_a_preempted_cluster_costs_its_job_and_a_new_cluster(start_cloud: Starts) -> None:
    cloud, settings = start_cloud(do_nothing_and_report, tecd="s3a://deliveries/tecd")
    cloud.on_running += [lambda job: cloud.preempt(job.cluster_id) if len(cloud.jobs) == 1 else None]
    ended = run_small_night(settings, RUN)
    assert ended.success, failed_with(ended)
    assert published(settings) == 1
    assert sorted(cloud.created.values()) == [1, 2, 2], "the ingest job and the cluster twice, features once"
    assert cloud.clusters == {}


def test_a_job_that_dies_without_a_word_is_told_by_the_end_of_its_log_and_its_keys_are_removed(
    start_cloud: Starts, jobs_bucket: str
) -> None:
    def die(job: object, log: object, stop: object) -> bool:
        log.write_text("Traceback:\n  somewhere\nMemoryError: no room\n")  # type: ignore[attr-defined]
        return False

    cloud, settings = start_cloud(die, tecd="s3a://deliveries/tecd")
    left = files_below(f"s3a://{jobs_bucket}/recs/jobs")
    told, text = failed_with(run_small_night(settings, RUN))
    assert (told, "MemoryError: no room" in text) == (1, True)
    assert (published(settings), cloud.clusters) == (0, {})
    assert files_below(f"s3a://{jobs_bucket}/recs/jobs") == left


def test_the_drivers_output_is_in_the_log_whole_and_once(start_cloud: Starts) -> None:
    _, settings = start_cloud(do_nothing_and_report, tecd="s3a://deliveries/tecd")
    assert run_small_night(settings, RUN).success
    (log,) = settings.data_dir.glob(f"logs/{RUN}/ingest.log")
    assert log.read_text().count("running recs-") == 1
    assert log.read_text().endswith("xx\nthe end\n")


@pytest.mark.parametrize(
    ("bucket", "endpoint", "expected"),
    [("nobodys-bucket", None, (2, "check the bucket")), ("jobs", "http://127.0.0.1:9", (5, "AWS_ENDPOINT_URL"))],
)
def test_object_storage_that_refuses_or_is_silent_ends_the_night_with_advice(
    start_cloud: Starts, monkeypatch: pytest.MonkeyPatch, bucket: str, endpoint: str | None, expected: tuple[int, str]
) -> None:
    cloud, settings = start_cloud(do_nothing_and_report, plan={"bucket": bucket}, tecd="s3a://deliveries/tecd")
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    told, text = failed_with(run_small_night(settings, RUN))
    assert (told, expected[1] in text) == (expected[0], True), text
    assert (published(settings), cloud.clusters) == (0, {})
