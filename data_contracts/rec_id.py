"""The id of an answer: signed, so that whoever gets one back knows without a look-up that we gave it, and to whom.

Layout, base64url without padding: version, channel, time in microseconds, policy hash, snapshot id; then the first
16 bytes of HMAC-SHA-256 over these and the user's id. The user is signed but not contained: an id may be logged.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from data_contracts.errors import InputError
from data_contracts.vocabulary import Channel

# The most that RECS_REC_ID_DAYS may be: what `keeping` keeps of an answer's moment lasts longer.
MOST_DAYS = 45

_VERSION = 1
_HEAD = struct.Struct(">BBq8s")
_MAC_BYTES = 16
_CHANNEL_CODES = {Channel.MOBILE: 1, Channel.WEB: 2, Channel.CRM: 3}
_CHANNELS = {code: channel for channel, code in _CHANNEL_CODES.items()}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class RecId:
    """What an id says of its answer. `snapshot_id` is empty where no snapshot was at hand."""

    channel: Channel
    snapshot_id: str
    policy_hash: str  # 16 hex digits
    time: datetime  # aware

    def signed(self, *, user_id: int, key: bytes) -> str:
        """The id as text, for URLs and JSON alike."""
        micros = (self.time - _EPOCH) // _MICROSECOND
        head = _HEAD.pack(_VERSION, _CHANNEL_CODES[self.channel], micros, bytes.fromhex(self.policy_hash))
        content = head + self.snapshot_id.encode()
        return _encoded(content + _mac(content, user_id=user_id, key=key))


def verified(rec_id: str, *, user_id: int, key: bytes) -> RecId:
    """What a signed id says. Raises InputError when it is broken, forged, or was given to another user."""
    signed = _decoded(rec_id)
    content, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
    is_ours = len(content) >= _HEAD.size and hmac.compare_digest(mac, _mac(content, user_id=user_id, key=key))
    if not is_ours:
        raise InputError("rec_id: not one that was given to this user")
    return _read(content)


def claimed(rec_id: str) -> RecId:
    """What an id says for itself: nothing to rely on before `verified`. Raises InputError when it cannot be ours."""
    content = _decoded(rec_id)[:-_MAC_BYTES]
    try:
        return _read(content)
    except (struct.error, KeyError, UnicodeDecodeError, OverflowError) as error:
        raise InputError("rec_id: not one of ours") from error


def _read(content: bytes) -> RecId:
    version, channel, micros, policy_hash = _HEAD.unpack_from(content)
    if version != _VERSION:
        raise InputError(f"rec_id: version {version} is not known here, only {_VERSION}")
    return RecId(
        channel=_CHANNELS[channel],
        snapshot_id=content[_HEAD.size :].decode(),
        policy_hash=policy_hash.hex(),
        time=_EPOCH + micros * _MICROSECOND,
    )


def _mac(content: bytes, *, user_id: int, key: bytes) -> bytes:
    return hmac.digest(key, user_id.to_bytes(8, "big") + content, hashlib.sha256)[:_MAC_BYTES]


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    # One text an id: spare bits of the last character must not make a second one.
    return data if data and _encoded(data) == text else b""
