"""The one seam through which the night calls for people: what failed, what a gate refused, what is late.

An alert leaves the house, so it carries no secret and no user id: every text passes through `without_secrets`.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Protocol

import urllib3
from pydantic import SecretStr

from data_contracts.errors import RecsError, UnavailableError
from data_contracts.settings import Settings

_TIMEOUT_SECONDS = 5.0
_RETRIES = urllib3.Retry(
    total=3, backoff_factor=0.3, allowed_methods=None, status_forcelist=(429, 500, 502, 503, 504), redirect=0
)
_LOG = logging.getLogger("recs.alerts")
_HIDDEN = "…"
# What must not leave: credentials in a URL, values of things named like secrets, ids of users, long numbers and hashes.
_SECRETS = (
    re.compile(r"(?<=://)[^/\s@]+(?=@)"),
    re.compile(r"(?i)((?:password|passwd|token|secret|api[_-]?key|authorization)\W{1,3}(?:bearer\s+)?)[^\s,;'\"]+"),
    re.compile(r"(?i)(\buser(?:[_ ]?id)?s?\W{1,3})\d+"),
    re.compile(r"\b\d{7,}\b"),
    re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.]+\b"),
)


class AlertKind(StrEnum):
    FAILED = "failed"  # a run failed
    GATE = "gate"  # a snapshot failed its gate and stays unpublished
    LATE = "late"  # exports have not arrived by the agreed hour

    @property
    def runbook(self) -> str:
        """What to do about it, a file of the repository."""
        return f"infra/runbooks/{'late-exports' if self is AlertKind.LATE else 'failed-gate'}.md"


@dataclass(frozen=True)
class Alert:
    """`title` in one line; `text` says what happened and what to do; `facts`: as-of, run, job, exit code."""

    kind: AlertKind
    title: str
    text: str
    facts: Mapping[str, str] = field(default_factory=dict)


class Alerts(Protocol):
    def send(self, alert: Alert) -> None:
        """Deliver it. Raises UnavailableError when nobody took it."""
        ...


class LogAlerts:
    """Alerts as errors of the log `recs.alerts`."""

    def send(self, alert: Alert) -> None:
        facts = ", ".join(f"{name} {value}" for name, value in alert.facts.items())
        _LOG.error("[%s] %s: %s (%s)", alert.kind, alert.title, alert.text, facts)


class WebhookAlerts:
    """Alerts as JSON, posted to a URL: `{"kind", "title", "text", "facts", "runbook"}`. Any 2xx is a receipt."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(total=_TIMEOUT_SECONDS), retries=_RETRIES)

    def send(self, alert: Alert) -> None:
        try:
            answer = self._http.request("POST", self._url, json={**asdict(alert), "runbook": alert.kind.runbook})
        except urllib3.exceptions.HTTPError as error:
            # The URL may hold a token, so neither it nor the library's words, which repeat it, are told.
            raise UnavailableError(f"the alert webhook did not take the alert: {type(error).__name__}") from None
        if answer.status >= 300:
            raise UnavailableError(f"the alert webhook answered {answer.status}: see setting alert_webhook_url")


class SafeAlerts:
    """Sends alerts through another face, without what must not leave."""

    def __init__(self, inner: Alerts, *, secrets: tuple[str, ...] = ()) -> None:
        self._inner = inner
        self._secrets = secrets

    def send(self, alert: Alert) -> None:
        facts = {name: self._safe(value) for name, value in alert.facts.items()}
        self._inner.send(Alert(alert.kind, self._safe(alert.title), self._safe(alert.text), facts))

    def _safe(self, text: str) -> str:
        return without_secrets(text, secrets=self._secrets)


def without_secrets(text: str, *, secrets: tuple[str, ...] = ()) -> str:
    """The text with `secrets`, credentials and anything that may be a user's id or address hidden."""
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    for pattern in _SECRETS:
        text = pattern.sub(lambda match: (match[1] if match.re.groups else "") + _HIDDEN, text)
    return text


def alerts_of(settings: Settings) -> Alerts:
    """The webhook where one is set, else the log."""
    url = settings.alert_webhook_url
    values = [value for name in Settings.model_fields if isinstance(value := getattr(settings, name), SecretStr)]
    # Some settings hold several secrets, comma separated.
    secrets = tuple(part for value in values for part in _known(value).split(",") if part)
    return SafeAlerts(LogAlerts() if url is None else WebhookAlerts(url.get_secret_value()), secrets=secrets)


def _known(secret: SecretStr) -> str:
    """What nobody can read now is in no text either."""
    try:
        return secret.get_secret_value()
    except RecsError:
        return ""
