"""MLflow behind a few words: register a version, ask for the aliases, move them with the decision kept beside them.

MLflow takes seconds to load, so it is loaded when a registry is first asked, and by nobody else.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from data_contracts.errors import InputError, RecsError, UnavailableError
from data_contracts.manifest import GateVerdict
from data_contracts.models import MODEL_NAMES, Aliases, ModelVersion
from spark_jobs.lifecycle.files import remember, remembered

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as Stored
    from mlflow.tracking import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
_EXPERIMENT = "recs"
_DOCUMENT, _REPLACED, _VERDICT, _DECISIONS = "recs.model", "recs.replaced", "recs.verdict", "recs.decisions"
_REPORT = "recs.report"
# A registry that is away must not hold up a night: seconds, not MLflow's minutes. And the bank's runs are its own.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class TrainingRecord:
    """What is kept of a training. `texts`: content by file name, plots as SVG."""

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """What the rule said of a version beside the champion of then; `against`: that one's number."""

    against: int
    verdict: GateVerdict


class Registry:
    """The registered models. Every call may raise UnavailableError; after a move the lake remembers the aliases."""

    def __init__(self, url: str, *, lake: str) -> None:
        self._url = url
        self._lake = lake
        self._is_server = url.startswith("http")
        self._file = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None

    def aliases(self) -> dict[str, Aliases]:
        """By model, as they are now; the lake remembers them."""
        if self._file is not None and not self._file.exists():
            return {name: Aliases() for name in MODEL_NAMES}  # nobody was ever registered: no need to load MLflow
        with self._asked():
            known = {name: self._aliases_of(name) for name in MODEL_NAMES}
        remember(self._lake, known)
        return known

    def register(self, model: ModelVersion, record: TrainingRecord) -> ModelVersion:
        """The version of these files; a new one with a run of its own, unless they were registered before."""
        with self._asked():
            for stored in self._versions(model.name):
                if (known := _model_of(stored)) and known.uri == model.uri:
                    return known
            run_id = self._logged(model, record)
            if model.name not in {one.name for one in self._client.search_registered_models()}:
                self._client.create_registered_model(model.name)
            made = self._client.create_model_version(model.name, source=self._source(model, run_id), run_id=run_id)
            numbered = model.model_copy(update={"version": int(made.version), "run": self._page(run_id)})
            self._tag(numbered, _DOCUMENT, numbered.model_dump_json())
        return numbered

    def crown(self, model: ModelVersion, *, replaces: ModelVersion | None, actor: str, why: str) -> None:
        """Make it champion; it is no challenger any more."""
        with self._asked():
            if replaces is not None and replaces.version != model.version:
                self._tag(model, _REPLACED, str(replaces.version))
            self._client.set_registered_model_alias(model.name, CHAMPION, str(model.version))
            if self._numbers(model.name).get(CHALLENGER) == model.version:
                self._client.delete_registered_model_alias(model.name, CHALLENGER)
            self._decided(model, "promoted", actor=actor, why=why)
        self.aliases()

    def challenge(self, model: ModelVersion, judgement: Judgement, *, actor: str, why: str) -> None:
        """Keep what the rule said of it; it is the challenger."""
        with self._asked():
            kept = {"against": judgement.against, "verdict": judgement.verdict.model_dump(mode="json")}
            self._tag(model, _VERDICT, json.dumps(kept))
            self._client.set_registered_model_alias(model.name, CHALLENGER, str(model.version))
            self._decided(model, "judged", actor=actor, why=why)

    def dethrone(self, model: ModelVersion, *, to: ModelVersion, actor: str, why: str) -> None:
        """The one before is champion again, this one challenger."""
        with self._asked():
            self._client.set_registered_model_alias(model.name, CHAMPION, str(to.version))
            self._client.set_registered_model_alias(model.name, CHALLENGER, str(model.version))
            self._decided(model, "demoted", actor=actor, why=why)
        self.aliases()

    def reported(self, model: ModelVersion, uri: str) -> None:
        """Keep where the report of the last night lies that trained and scored with it."""
        with self._asked():
            self._tag(model, _REPORT, uri)

    def report_of(self, model: ModelVersion) -> str:
        """Its URI; "" where there is none yet."""
        with self._asked():
            kept = self._client.get_model_version(model.name, str(model.version)).tags.get(_REPORT, "")
        return str(kept)

    def judgement(self, model: ModelVersion) -> Judgement | None:
        """None of a version that was never beside a champion."""
        with self._asked():
            kept = self._client.get_model_version(model.name, str(model.version)).tags.get(_VERDICT)
        if kept is None:
            return None
        known = json.loads(kept)
        return Judgement(known["against"], GateVerdict.model_validate(known["verdict"]))

    def decisions(self, model: ModelVersion) -> list[dict[str, str]]:
        """Oldest first: when, what, by whom and why."""
        with self._asked():
            return self._decisions(model)

    def record(self, model: ModelVersion, *names: str) -> dict[str, str]:
        """Texts that were kept of its training, by name. Raises InputError for one that was not."""
        run_id = model.run.rpartition("/")[2]
        with self._asked(), TemporaryDirectory() as folder:
            kept = {one.path for one in self._client.list_artifacts(run_id)}
            if absent := sorted({*names} - kept):
                raise InputError(f"{model.name} {model.told}: {', '.join(absent)} was not kept when it was trained")
            return {name: Path(self._client.download_artifacts(run_id, name, folder)).read_text() for name in names}

    def versions(self, name: str) -> list[ModelVersion]:
        """Newest first."""
        with self._asked():
            known = [found for stored in self._versions(name) if (found := _model_of(stored))]
        return sorted(known, key=lambda one: -one.version)

    @cached_property
    def _client(self) -> "MlflowClient":
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - seconds, which only who needs it pays

        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        return MlflowClient(tracking_uri=self._url, registry_uri=self._url)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Whatever a registry that is away or broken throws (HTTP, SQL, its own) is one error here."""
        try:
            yield
        except RecsError:
            raise
        except Exception as error:
            first = str(error).strip().splitlines()[:1]
            raise UnavailableError(f"the model registry (RECS_MLFLOW_URL) does not answer: {''.join(first)}") from error

    def _aliases_of(self, name: str) -> Aliases:
        stored = {int(one.version): one for one in self._versions(name)}
        if not stored:
            return Aliases()
        known = {number: model for number, one in stored.items() if (model := _model_of(one))}
        at = self._numbers(name)
        champion = stored.get(at.get(CHAMPION, 0))
        replaced = int(champion.tags.get(_REPLACED, 0)) if champion else 0
        return Aliases(
            champion=known.get(at.get(CHAMPION, 0)),
            challenger=known.get(at.get(CHALLENGER, 0)),
            previous=known.get(replaced),
            last_trained=max((model.as_of for model in known.values()), default=None),
        )

    def _numbers(self, name: str) -> dict[str, int]:
        found = self._client.get_registered_model(name).aliases
        return {alias: int(version) for alias, version in found.items()}

    def _versions(self, name: str) -> "list[Stored]":
        return list(self._client.search_model_versions(f"name = '{name}'", max_results=1_000))

    def _logged(self, model: ModelVersion, record: TrainingRecord) -> str:
        run = self._client.create_run(self._experiment(), run_name=f"{model.name} {model.as_of}")
        run_id: str = run.info.run_id
        for name, text in record.params.items():
            self._client.log_param(run_id, name, text)
        for name, value in record.metrics.items():
            self._client.log_metric(run_id, name, value)
        for name, text in record.tags.items():
            self._client.set_tag(run_id, name, text)
        for name, text in record.texts.items():
            self._client.log_text(run_id, text, name)
        self._client.set_terminated(run_id)
        return run_id

    def _source(self, model: ModelVersion, run_id: str) -> str:
        """Where the files lie. A server takes no local folder but the run's own, whose files.json tells the same."""
        is_local = model.uri.startswith(("/", "file:"))
        if self._is_server and is_local:
            return str(self._client.get_run(run_id).info.artifact_uri)
        return model.uri

    def _page(self, run_id: str) -> str:
        if not self._url.startswith("http"):
            return f"runs:/{run_id}"
        return f"{self._url.rstrip('/')}/#/experiments/{self._experiment()}/runs/{run_id}"

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(_EXPERIMENT, artifact_location=self._artifacts()))

    def _artifacts(self) -> str | None:
        """A server knows a place of its own; a database has none: theirs are in the lake."""
        if self._is_server:
            return None
        if self._file is not None:
            return (self._file.parent / "mlflow").absolute().as_uri()
        folder = f"{self._lake}/mlflow"
        return folder.replace("s3a://", "s3://", 1) if ":" in folder else Path(folder).absolute().as_uri()

    def _tag(self, model: ModelVersion, name: str, value: str) -> None:
        self._client.set_model_version_tag(model.name, str(model.version), name, value)

    def _decisions(self, model: ModelVersion) -> list[dict[str, str]]:
        kept = self._client.get_model_version(model.name, str(model.version)).tags.get(_DECISIONS, "[]")
        found: list[dict[str, str]] = json.loads(kept)
        return found

    def _decided(self, model: ModelVersion, what: str, *, actor: str, why: str) -> None:
        one = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "what": what, "by": actor, "why": why}
        self._tag(model, _DECISIONS, json.dumps([*self._decisions(model), one]))


def known_aliases(url: str, lake: str) -> tuple[dict[str, Aliases], str | None]:
    """The registry's aliases; where it is away, what it said last, and a warning that says so."""
    try:
        return Registry(url, lake=lake).aliases(), None
    except UnavailableError as error:
        return remembered(lake), f"{error}: this night goes by what it said last, and registers nothing"


def _model_of(stored: Any) -> ModelVersion | None:
    """None of a version that somebody else registered."""
    document = stored.tags.get(_DOCUMENT)
    return ModelVersion.model_validate_json(document) if document else None
