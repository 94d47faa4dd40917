"""What Data Proc may answer with, and what that means for a step: exit codes 4 and 5 are tried again, 2 and 1 are not.

RecsError
├── InputError
│   └── RefusedError      no right, no such folder or network, a request that it does not take: mend and run again
│       └── GoneError     there is no such cluster or job (any more)
├── BusyError
│   ├── QuotaError        the cloud's quota or the zone's stock is used up
│   └── TakenError        another night has the cluster of this lake
├── UnavailableError
│   ├── ApiError          the API did not answer for as long as `patience_seconds`
│   ├── StartError        a cluster did not start
│   ├── StorageError      Object Storage did not answer
│   └── ClusterLostError  a cluster was preempted, stopped or deleted under its job
└── JobTimeoutError       a job took longer than `job_hours` and was cancelled: look into it before trying again
"""

import grpc

from data_contracts.errors import BusyError, InputError, RecsError, UnavailableError


class RefusedError(InputError):
    pass


class GoneError(RefusedError):
    pass


class QuotaError(BusyError):
    pass


class TakenError(BusyError):
    pass


class ApiError(UnavailableError):
    pass


class StartError(UnavailableError):
    pass


class StorageError(UnavailableError):
    pass


class ClusterLostError(UnavailableError):
    pass


class JobTimeoutError(RecsError):
    pass


_PASSING = {
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNKNOWN,
}
# As pyarrow says them.
_REFUSALS = ("ACCESS_DENIED", "NO_SUCH_BUCKET", "allow_bucket_creation", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT")
_KINDS: dict[grpc.StatusCode, tuple[type[RecsError], str]] = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        QuotaError,
        "wait, free what is not needed, or ask for more quota (cores, memory, disks, clusters) in the cloud's console",
    ),
    grpc.StatusCode.ALREADY_EXISTS: (TakenError, "wait until the other night has ended"),
    grpc.StatusCode.NOT_FOUND: (GoneError, "check the ids in the file of RECS_DATAPROC"),
    grpc.StatusCode.PERMISSION_DENIED: (
        RefusedError,
        "give the service account the roles dataproc.editor, vpc.user and iam.serviceAccounts.user",
    ),
    grpc.StatusCode.UNAUTHENTICATED: (RefusedError, "check RECS_DATAPROC_TOKEN, or the key or machine that it is of"),
}


def is_passing(error: grpc.RpcError) -> bool:
    """Whether the same call may be answered a moment later."""
    return error.code() in _PASSING


def refusal(code: grpc.StatusCode, text: str, *, what: str) -> RecsError:
    """The error of an answer that will be the same a moment later. `what` was being done."""
    kind, advice = _KINDS.get(code, (RefusedError, "check the file of RECS_DATAPROC"))
    return kind(f"{what}: Data Proc says {code.name}: {text}: {advice}")


def storage_error(error: OSError) -> RecsError:
    """Of packages, requests and messages, which pyarrow has tried again already."""
    if any(word in str(error) for word in _REFUSALS):
        return RefusedError(f"Object Storage refuses: {error}: check the bucket, AWS_ACCESS_KEY_ID and its rights")
    return StorageError(f"Object Storage: {error}: check AWS_ENDPOINT_URL and the network")
