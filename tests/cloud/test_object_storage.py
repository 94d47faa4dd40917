"""What the night does with small files, in a bucket."""

from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project import files as scheduled
from dagster_project.attempts import Attempts
from dagster_project.old_folders import remove_old
from data_contracts.manifest import MANIFEST_FILE
from spark_jobs.lake import files as jobs

DAY = date(2026, 3, 16)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), name=st.sampled_from(["a.json", "b.tar.gz", "deep/c"]))
def test_what_one_side_writes_the_other_reads(bucket: str, content: bytes, name: str) -> None:
    uri = f"s3a://{bucket}/lake/{name}"
    scheduled.write_bytes(uri, content)
    assert jobs.read_bytes(uri) == content
    jobs.write_bytes(uri, content[::-1])
    assert scheduled.read_bytes(uri) == content[::-1]


def test_a_file_of_many_parts_comes_back_whole(bucket: str) -> None:
    content = bytes(range(256)) * 100_000
    jobs.write_bytes(f"s3a://{bucket}/lake/model.bin", content)
    assert jobs.read_bytes(f"s3a://{bucket}/lake/model.bin") == content
    assert not jobs.file_exists(f"s3a://{bucket}/lake/model.bin.tmp")


def test_what_is_not_there_is_said_to_be_missing(bucket: str) -> None:
    with pytest.raises(FileNotFoundError):
        jobs.read_bytes(f"s3a://{bucket}/lake/nothing")
    assert not jobs.file_exists(f"s3a://{bucket}/lake/nothing")
    jobs.delete_folder(f"s3a://{bucket}/lake/nothing")


def test_attempts_of_a_night_are_counted_and_kept_by_their_runs(bucket: str) -> None:
    attempts = Attempts(f"s3a://{bucket}/lake")
    claimed = [attempts.claim(DAY, run_id=run) for run in ("first", "second", "first")]
    assert claimed == [1, 2, 1]
    assert attempts.latest(DAY) == 2


def test_old_snapshots_go_and_what_is_served_stays(bucket: str) -> None:
    lake = f"s3a://{bucket}/lake"
    for number in range(1, 5):
        scheduled.write_bytes(f"{lake}/snapshots/{DAY}.{number}/{MANIFEST_FILE}", b"{}")
    removed = remove_old(lake, keep=1, needed=[f"{DAY}.2"])
    assert removed.snapshots == (f"{DAY}.1", f"{DAY}.3")
    left = [number for number in range(1, 5) if jobs.file_exists(f"{lake}/snapshots/{DAY}.{number}/{MANIFEST_FILE}")]
    assert left == [2, 4]
