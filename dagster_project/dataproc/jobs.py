"""A job on a cluster: submitted once, followed to its end, its driver's output handed on, cancelled when asked.

A job's name says lake, night, job and parameters, and counts: a restarted night finds its job by name and goes on
listening, and the key of Create follows from the name, so that a repeated call makes no second job.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from yandex.cloud.dataproc.v1 import job_service_pb2 as service
from yandex.cloud.dataproc.v1.job_pb2 import Job, PysparkJob

from dagster_project.dataproc.api import CloudApi, key_of
from dagster_project.dataproc.errors import ClusterLostError, GoneError, JobTimeoutError, TakenError
from dagster_project.dataproc.plan import ClusterPlan
from data_contracts.errors import RecsError

_ENDED = {Job.DONE, Job.ERROR, Job.CANCELLED}
_CANCEL_SECONDS = 120.0


@dataclass(frozen=True)
class JobName:
    """What a job is, as the beginning of its name: `lake` and `night` are short hashes, as is `params`."""

    lake: str
    night: str
    job: str
    params: str

    @property
    def of_lake(self) -> str:
        return f"recs-{self.lake}-"

    @property
    def of_night(self) -> str:
        return f"{self.of_lake}{self.night}-"

    @property
    def stem(self) -> str:
        return f"{self.of_night}{self.job}-{self.params}-"

    def number(self, count: int) -> str:
        return f"{self.stem}{count}"


class Jobs:
    """Those of one cluster."""

    def __init__(self, api: CloudApi, plan: ClusterPlan, cluster_id: str) -> None:
        self._api = api
        self._plan = plan
        self.cluster_id = cluster_id

    def newest(self, name: JobName) -> tuple[Any | None, int]:
        """The last job of this name, and how many there were. Raises TakenError while another night's job works on
        the lake: a table has one writer.
        """
        jobs = list(self._all())
        for one in jobs:
            is_other = one.name.startswith(name.of_lake) and not one.name.startswith(name.of_night)
            if is_other and one.status not in _ENDED:
                raise TakenError(f"job {one.name} of another night works on this lake: wait until it has ended")
        mine = [one for one in jobs if one.name.startswith(name.stem)]
        return max(mine, key=lambda one: int(one.name.removeprefix(name.stem)), default=None), len(mine)

    def submit(self, name: str, job: PysparkJob) -> str:
        """Its id."""
        request = service.CreateJobRequest(cluster_id=self.cluster_id, name=name, pyspark_job=job)
        key = key_of(self.cluster_id, name)
        operation = self._api.jobs("Create", request, what=f"submitting job {name}", key=key)
        made = service.CreateJobMetadata()
        operation.metadata.Unpack(made)
        return made.job_id

    def follow(self, job_id: str, *, on_output: Callable[[str], None]) -> Any:
        """The job, ended. Raises ClusterLostError, JobTimeoutError; on any other end but an error of ours, such as
        a cancelled run, the job is cancelled too.
        """
        output, until = Output(), time.monotonic() + 3600 * self._plan.job_hours
        try:
            while True:
                job = self._get(job_id)
                for text in output.news(lambda token: self._log(job_id, token)):
                    on_output(text)
                if job.status in _ENDED:
                    return job
                if time.monotonic() > until:
                    self.cancel(job_id)
                    raise JobTimeoutError(
                        f"job {job.name} took longer than {self._plan.job_hours:g} hours and was cancelled: "
                        "look at its log, then mend it or raise job_hours"
                    )
                time.sleep(self._plan.poll_seconds)
        except GoneError as error:
            raise ClusterLostError(f"cluster {self.cluster_id} went away under job {job_id}") from error
        except RecsError:
            raise  # the API's own trouble: the job may go on, and is found again
        except BaseException:
            with suppress(RecsError):
                self.cancel(job_id)
            raise

    def cancel(self, job_id: str) -> None:
        """Until it has ended, or for two minutes."""
        request = service.CancelJobRequest(cluster_id=self.cluster_id, job_id=job_id)
        self._api.jobs("Cancel", request, what=f"cancelling job {job_id}")
        until = time.monotonic() + _CANCEL_SECONDS
        while self._get(job_id).status not in _ENDED and time.monotonic() < until:
            time.sleep(self._plan.poll_seconds)

    def _all(self) -> Iterator[Any]:
        request = service.ListJobsRequest(cluster_id=self.cluster_id)
        return self._api.pages(self._api.jobs, request, "jobs", what=f"listing jobs of cluster {self.cluster_id}")

    def _get(self, job_id: str) -> Any:
        request = service.GetJobRequest(cluster_id=self.cluster_id, job_id=job_id)
        return self._api.jobs("Get", request, what=f"job {job_id}")

    def _log(self, job_id: str, token: str) -> tuple[str, str]:
        request = service.ListJobLogRequest(cluster_id=self.cluster_id, job_id=job_id, page_token=token)
        try:
            page = self._api.jobs("ListLog", request, what=f"log of job {job_id}")
        except GoneError:  # before the driver has written anything there is none
            return "", ""
        return page.content, page.next_page_token


class Output:
    """What of a driver's output has been seen. A page may grow until there is a next one."""

    def __init__(self) -> None:
        self._token = ""
        self._seen = 0

    def news(self, page: Callable[[str], tuple[str, str]]) -> Iterator[str]:
        """The text that is new since the last call. `page`: token -> its text and the next one's token or nothing."""
        while True:
            content, following = page(self._token)
            if content[self._seen :]:
                yield content[self._seen :]
            if not following or following == self._token:
                self._seen = len(content)
                return
            self._token, self._seen = following, 0
