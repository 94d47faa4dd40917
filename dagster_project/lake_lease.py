"""One night at a time on a lake in Object Storage: a lease that its holder renews for as long as it lives.

Object Storage has no locks, but it makes an object only where there is none (If-None-Match: *). So each holder makes
the next number below `<lake>/.night.lock/`, and the highest is who has the lake. Only its holder writes an object
again: to renew the lease, and to give it up. Who has shown no sign of life for `seconds`, by the storage's own clock,
has lost it, and the next number may be made. The highest is never removed, so that a number is made once.
"""

import json
import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from data_contracts.errors import BusyError, InputError, UnavailableError

LEASE_SECONDS = 180.0
_RENEWALS = 6  # in that time
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_LOG = logging.getLogger("recs.lake")


@dataclass(frozen=True)
class Holder:
    """Who has, or had, the lake; `host` is a pod's name in Kubernetes."""

    token: str
    host: str
    pid: int
    since: str
    released: bool = False


@dataclass(frozen=True)
class Lease:
    """A holder's object; `silent_seconds` since its last sign of life."""

    number: int
    holder: Holder
    silent_seconds: float


@dataclass(frozen=True)
class _Held:
    leases: "Leases"
    number: int
    holder: Holder

    def is_newest(self) -> bool:
        return self.leases.numbers()[-1:] == [self.number]

    def renew(self) -> None:
        self.leases.renew(self.number, self.holder)

    def release(self) -> None:
        try:
            if self.is_newest():
                self.leases.renew(self.number, replace(self.holder, released=True))
        except UnavailableError as error:
            _LOG.warning("%s: it stays until it runs out", error)


class Leases:
    """Those of one lake. Raises UnavailableError while Object Storage is away."""

    def __init__(self, lake: str) -> None:
        self._bucket, _, path = lake.partition("://")[2].partition("/")
        self._prefix = f"{path.strip('/')}/.night.lock/".lstrip("/")
        self._s3: Any = boto3.client("s3", region_name=os.environ.get("AWS_REGION"))  # boto3 itself reads another name

    def newest(self) -> Lease | None:
        numbers = self.numbers()
        if not numbers:
            return None
        with _translated():
            try:
                found = self._s3.get_object(Bucket=self._bucket, Key=self._key(numbers[-1]))
            except self._s3.exceptions.NoSuchKey:  # given up by who came too late
                return self.newest()
            holder = Holder(**json.loads(found["Body"].read()))
        now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        return Lease(numbers[-1], holder, (now - found["LastModified"]).total_seconds())

    def numbers(self) -> list[int]:
        with _translated():
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return sorted(int(key.removeprefix(self._prefix)) for key in keys)

    def make(self, number: int, holder: Holder) -> bool:
        """Whether it was made: False where it is there already, whoever made it."""
        try:
            self._s3.put_object(Bucket=self._bucket, Key=self._key(number), Body=_json(holder), IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] in _TAKEN:
                return False
            raise UnavailableError(f"the lake's lock: {error}") from error
        except BotoCoreError as error:
            raise UnavailableError(f"the lake's lock: {error}") from error
        return True

    def renew(self, number: int, holder: Holder) -> None:
        with _translated():
            self._s3.put_object(Bucket=self._bucket, Key=self._key(number), Body=_json(holder))

    def forget(self, number: int) -> None:
        with _translated():
            self._s3.delete_object(Bucket=self._bucket, Key=self._key(number))

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:012d}"


def stop_this_process(why: str) -> None:
    """As Ctrl-C would: the running job ends too."""
    _LOG.error("%s: this night ends", why)
    os.kill(os.getpid(), signal.SIGINT)


@contextmanager
def lake_lease(
    lake: str,
    *,
    wait_seconds: float,
    seconds: float = LEASE_SECONDS,
    on_lost: Callable[[str], None] = stop_this_process,
) -> Iterator[None]:
    """Hold the lake in the block. Nobody else on this host may try at the same time: a lease of this host is taken for
    left behind.

    Raises BusyError that says who holds it, UnavailableError without Object Storage, InputError for one that knows no
    conditions. `on_lost` is called, once, when somebody else has it or it could not be renewed in time.
    """
    leases = Leases(lake)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = Holder(uuid.uuid4().hex, socket.gethostname(), os.getpid(), since)
    number = _acquired(leases, holder, seconds=seconds, deadline=time.monotonic() + wait_seconds)
    held, ended = _Held(leases, number, holder), threading.Event()
    renewing = threading.Thread(target=_renew, args=(held, seconds, ended, on_lost), name="lake-lease", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        held.release()


def _acquired(leases: Leases, holder: Holder, *, seconds: float, deadline: float) -> int:
    while True:
        lease = leases.newest()
        is_free = lease is None or lease.holder.released or lease.holder.host == holder.host
        if is_free or (lease is not None and lease.silent_seconds > seconds):
            number = lease.number + 1 if lease else 1
            if _made(leases, number, holder):
                return number
            continue  # somebody was quicker: who?
        if lease is not None and time.monotonic() >= deadline:
            one = lease.holder
            raise BusyError(
                f"another night is running on this lake: process {one.pid} on {one.host} has held it since "
                f"{one.since} and showed a sign of life {lease.silent_seconds:.0f} s ago: wait for it, or choose "
                f"another lake; what is dead loses it after {seconds:.0f} s"
            )
        time.sleep(min(1.0, seconds / _RENEWALS))


def _made(leases: Leases, number: int, holder: Holder) -> bool:
    """Whether the lake is ours: the number was made by us, and no higher one has come meanwhile."""
    is_new = leases.make(number, holder)
    newest = leases.newest()
    if newest is None or newest.number != number or newest.holder.token != holder.token:
        if is_new:  # a number that was removed as old: nobody has it
            leases.forget(number)
        return False
    if leases.make(number, holder):
        raise InputError("this Object Storage makes an object anew where there is one: it cannot keep two nights apart")
    for old in leases.numbers()[:-1]:
        leases.forget(old)
    return True


def _renew(held: _Held, seconds: float, ended: threading.Event, on_lost: Callable[[str], None]) -> None:
    last, pause = time.monotonic(), seconds / _RENEWALS
    while not ended.wait(pause):
        try:
            if not held.is_newest():
                on_lost("somebody else has the lake by now")
                return
            held.renew()
            last = time.monotonic()
        except UnavailableError as error:
            if time.monotonic() - last > seconds - 2 * pause:
                on_lost(f"the lake's lock could not be renewed in time ({error})")
                return


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(f"the lake's lock: {error}") from error


def _json(holder: Holder) -> bytes:
    return json.dumps(asdict(holder)).encode()
