"""Keeps user ids out of logs: what a log line shows of a user is a keyed hash, the same for the same user."""

import hashlib
import hmac
import logging
import re

_USER_ID = re.compile(r"(user_id=)([^&\s]*)")


def hashed(user_id: str, *, key: bytes) -> str:
    return hmac.digest(key, user_id.encode(), hashlib.sha256).hex()[:12]


class HashUserIds(logging.Filter):
    """Replaces the user id in the paths that uvicorn's access log would print."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(self._without_user(one) if isinstance(one, str) else one for one in record.args)
        return True

    def _without_user(self, text: str) -> str:
        return _USER_ID.sub(lambda found: f"{found[1]}hash:{hashed(found[2], key=self._key)}", text)


def protect_access_log(key: bytes) -> None:
    log = logging.getLogger("uvicorn.access")
    for installed in [one for one in log.filters if isinstance(one, HashUserIds)]:
        log.removeFilter(installed)
    log.addFilter(HashUserIds(key))
