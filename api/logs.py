"""Log lines: JSON with a trace id for machines, plain text on a terminal; never a token, never a user id in the clear.

What a line shows of a user is a keyed hash, the same for the same user.
"""

import hashlib
import hmac
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

import orjson

# Of the request that is being answered.
TRACE: ContextVar[str] = ContextVar("trace", default="")

_USER_ID = re.compile(r"(user_id(?:=|%3D|[\"']?:\s*[\"']?))([^&\s\"',})]+)", re.IGNORECASE)
# Lists of them: in brackets of any kind, as in a URL, or bare; one whose end was cut off goes as far as the text.
_USER_IDS = re.compile(
    r"(user_ids\\?[\"']?\s*(?:=|%3D|:)\s*)"
    r"(?:\w*\(?\[[^\]]*\]?|\w*[({][^)}]*[)}]?|%5B[^&\s\"']*|\\?[\"']?[^&\s\"',})\]]+(?:,\s*\d+)*)",
    re.IGNORECASE,
)
_USER_PATH = re.compile(r"(/users/)([^/\s?\"']+)")
# Words of a search may say anything about a person.
_SEARCH = re.compile(r"(context(?:\.|%2E)search(?:=|%3D))([^&\s\"']*)", re.IGNORECASE)
_TOKEN = re.compile(r"(?i)\bbearer\s+[\w.~+/=-]+|\beyJ[\w-]+\.[\w-]*\.?[\w-]*")


def hashed(user_id: str, *, key: bytes) -> str:
    return hmac.digest(key, user_id.encode(), hashlib.sha256).hex()[:12]


def without_secrets(text: str, *, key: bytes) -> str:
    """A text without tokens and words of a search, and with hashes where user ids were."""

    def as_hash(found: re.Match[str]) -> str:
        return f"{found[1]}hash:{hashed(found[2], key=key)}"

    text = _SEARCH.sub(r"\1[words]", _TOKEN.sub("[token]", text))
    text = _USER_IDS.sub(r"\1[users]", text)
    return _USER_PATH.sub(as_hash, _USER_ID.sub(as_hash, text))


class HashUserIds(logging.Filter):
    """Replaces user ids in the paths that uvicorn's access log would print."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                without_secrets(one, key=self._key) if isinstance(one, str) else one for one in record.args
            )
        return True


class _Text(logging.Formatter):
    def __init__(self, key: bytes) -> None:
        super().__init__("%(levelname)s:     %(message)s")
        self._key = key

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record), key=self._key)


class _Json(logging.Formatter):
    """One object a line: time, level, logger, message, trace_id within a request, error with its traceback."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage(), key=self._key),
        }
        trace = TRACE.get()
        if trace:
            line["trace_id"] = trace
        if record.exc_info:
            line["error"] = without_secrets(self.formatException(record.exc_info), key=self._key)
        return orjson.dumps(line).decode()


def write_logs(style: Literal["auto", "json", "text"], *, key: bytes, level: int = logging.INFO) -> None:
    """Everything this process logs from `level` on, in one style; `auto` is text on a terminal and JSON elsewhere."""
    is_json = style == "json" or (style == "auto" and not sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(key) if is_json else _Text(key))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        log = logging.getLogger(name)
        if log.hasHandlers():  # not of an access log that is off
            log.handlers.clear()
            log.propagate = True
    # Of the client library: a line a request.
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def protect_access_log(key: bytes) -> None:
    log = logging.getLogger("uvicorn.access")
    for installed in [one for one in log.filters if isinstance(one, HashUserIds)]:
        log.removeFilter(installed)
    log.addFilter(HashUserIds(key))
