"""Secrets that lie in Yandex Lockbox: a setting names them, `lockbox:ID#key`, and whoever uses one asks when it does.

So a secret may be changed without a restart: a value is read again when it is older than `lockbox_seconds`, beside
those who ask, who get the last good one meanwhile, and for as long as Lockbox is away. Values are kept in memory only.
"""

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from data_contracts.errors import InputError, RecsError, UnavailableError

PREFIX = "lockbox:"
_REFERENCE = re.compile(r"lockbox:(?P<secret>[\w-]+)#(?P<key>[\w./-]+)")
_CALL_SECONDS = 10.0
_AGAIN_SECONDS = 1.0
_LOG = logging.getLogger("recs.lockbox")
# All keys of a secret.
Read = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True)
class Reference:
    secret: str
    key: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises ValueError without repeating what was given: it may be the secret itself."""
        found = _REFERENCE.fullmatch(text)
        if found is None:
            raise ValueError("a secret in Lockbox is named lockbox:ID#key")
        return cls(found["secret"], found["key"])


@dataclass(frozen=True)
class Access:
    """How Lockbox is reached: the cloud's endpoint, its authority, and who asks. By default as a machine's account."""

    endpoint: str | None
    ca_file: Path | None
    key_file: Path | None
    token: str = field(repr=False)
    seconds: float = 60.0


@dataclass
class _Kept:
    values: Mapping[str, str]
    read_at: float
    tried_at: float
    is_refused: bool = False


class Lockbox:
    """Reads secrets, each at most once in `seconds`, and remembers the last good values. Threads may share it."""

    def __init__(self, read: Read, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._seconds, self._clock = read, seconds, clock
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def value(self, reference: Reference) -> str:
        """Waits for Lockbox only the first time. Raises UnavailableError then, InputError for what it has not."""
        kept = self._kept.get(reference.secret) or self._first(reference.secret)
        if self._is_due(kept):
            threading.Thread(target=self._again, args=(reference.secret,), daemon=True).start()
        if reference.key not in kept.values:
            raise InputError(f"secret {reference.secret} in Lockbox has no key {reference.key}")
        return kept.values[reference.key]

    def expire(self, secret: str) -> None:
        """Somebody was refused with its value: it is read again soon, at most once a second."""
        kept = self._kept.get(secret)
        if kept is not None and self._clock() - kept.read_at > _AGAIN_SECONDS:
            kept.is_refused = True

    def _first(self, secret: str) -> _Kept:
        with self._lock:
            if secret not in self._kept:
                now = self._clock()
                self._kept[secret] = _Kept(self._read(secret), now, now)
            return self._kept[secret]

    def _is_due(self, kept: _Kept) -> bool:
        """True for one of those who ask at once; tries that fail are a second apart."""
        with self._lock:
            now = self._clock()
            is_old = kept.is_refused or now - kept.read_at >= self._seconds
            if not is_old or now - kept.tried_at < min(_AGAIN_SECONDS, self._seconds):
                return False
            kept.tried_at = now
            return True

    def _again(self, secret: str) -> None:
        try:
            values = self._read(secret)
        except RecsError as error:
            age = self._clock() - self._kept[secret].read_at
            _LOG.warning("%s: the values read %.0f s ago stay in use", error, age)
            return
        now = self._clock()
        self._kept[secret] = _Kept(values, now, now)


class LockboxSecret(SecretStr):
    """A setting's secret that is asked for when it is used; equal to another one by what it names."""

    def __init__(self, reference: Reference, lockbox: Lockbox) -> None:
        super().__init__(f"{PREFIX}{reference.secret}#{reference.key}")
        self._reference, self._lockbox = reference, lockbox

    def get_secret_value(self) -> str:
        return self._lockbox.value(self._reference)

    def refused(self) -> None:
        """Tell that the value was not accepted."""
        self._lockbox.expire(self._reference.secret)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LockboxSecret) and self._reference == other._reference

    def __hash__(self) -> int:
        return hash(self._reference)


def resolved(secret: SecretStr, access: Callable[[], Access]) -> SecretStr:
    """The secret itself, unless it names one in Lockbox. Raises ValueError for a name that is none."""
    if isinstance(secret, LockboxSecret) or not secret.get_secret_value().startswith(PREFIX):
        return secret
    return LockboxSecret(Reference.of(secret.get_secret_value()), _lockbox(access()))


@cache
def _lockbox(access: Access) -> Lockbox:
    """One a process and way to reach it."""
    return Lockbox(Payloads(access), seconds=access.seconds)


class Payloads:
    """Lockbox's service of payloads, by the cloud's SDK."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._clients: dict[int, Any] = {}

    def __call__(self, secret: str) -> Mapping[str, str]:
        """Raises UnavailableError where Lockbox does not answer, InputError where it refuses; no value is told."""
        import grpc  # noqa: PLC0415 - only who has secrets there loads the SDK
        from yandex.cloud.lockbox.v1.payload_service_pb2 import GetPayloadRequest  # noqa: PLC0415

        try:
            payload = self._client().Get(GetPayloadRequest(secret_id=secret), timeout=_CALL_SECONDS)
        except grpc.RpcError as error:
            code = error.code() if isinstance(error, grpc.Call) else None
            told = f"Lockbox, secret {secret}: {code.name if code else 'no answer'}"
            if code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT):
                raise InputError(f"{told}: is the id right, and may this account read it?") from error
            raise UnavailableError(told) from error
        return {entry.key: entry.text_value for entry in payload.entries if entry.HasField("text_value")}

    def _client(self) -> Any:
        """A process that was forked has channels of its own."""
        if os.getpid() not in self._clients:
            from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import PayloadServiceStub  # noqa: PLC0415
            from yandexcloud._sdk import SDK  # noqa: PLC0415

            self._clients = {os.getpid(): SDK(**_identity(self._access)).client(PayloadServiceStub)}
        return self._clients[os.getpid()]


def _identity(access: Access) -> dict[str, Any]:
    """Raises InputError for a file that cannot be read."""
    identity: dict[str, Any] = {"endpoint": access.endpoint} if access.endpoint else {}
    if access.ca_file is not None:
        identity["root_certificates"] = _read(access.ca_file, "RECS_LOCKBOX_CA_FILE")
    if access.key_file is not None:
        identity["service_account_key"] = _key(access.key_file)
    elif access.token:
        identity["iam_token"] = access.token
    return identity


def _key(path: Path) -> Any:
    try:
        return json.loads(_read(path, "RECS_LOCKBOX_KEY_FILE"))
    except ValueError:
        # Without its cause, which may show the key.
        raise InputError(f"{path}: is no JSON; make the key by `yc iam key create --output {path.name}`") from None


def _read(path: Path, variable: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}; put the file there, or unset {variable} where the default will do"
        ) from error
