"""Where a pull stands, signed: whoever brings it back goes on there, on the same snapshot, and nowhere else."""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass

from api.bulk_chunks import Totals
from data_contracts.errors import InputError

_HEAD = struct.Struct(">BqQQQQI8s")
_VERSION, _MAC_BYTES = 1, 16


@dataclass(frozen=True)
class Cursor:
    """`began` of the pull, microseconds since 1970; `asked`: a digest of what it asked; `first`: the next user id."""

    snapshot_id: str
    asked: bytes  # 8
    began: int
    first: int
    totals: Totals

    def signed(self, key: bytes) -> str:
        """As text for URLs. It begins with a letter, so no spreadsheet takes it for a formula."""
        told = self.totals
        counts = (self.first, told.users, told.lists, told.items, told.checksum)
        content = _HEAD.pack(_VERSION, self.began, *counts, self.asked) + self.snapshot_id.encode()
        return base64.urlsafe_b64encode(content + _mac(content, key)).rstrip(b"=").decode()


def read_cursor(text: str, key: bytes) -> Cursor:
    """Raises InputError for what is not one of ours."""
    try:
        signed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        signed = b""
    content, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
    if len(content) < _HEAD.size or not hmac.compare_digest(mac, _mac(content, key)):
        raise InputError("cursor: not one that was given here")
    _, began, first, users, lists, items, checksum, asked = _HEAD.unpack_from(content)
    return Cursor(content[_HEAD.size :].decode(), asked, began, first, Totals(users, lists, items, checksum))


def _mac(content: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"cursor" + content, hashlib.sha256)[:_MAC_BYTES]
