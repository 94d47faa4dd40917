"""Versions in a real MLflow registry: who becomes champion, who is refused, what is kept, and what is checked."""

import json
import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from dagster_project.old_folders import remove_old
from data_contracts.errors import GateError, InputError
from data_contracts.gate import PROMOTION, asked
from data_contracts.manifest import GateVerdict
from data_contracts.models import DataFacts, NightModels
from data_contracts.night import NightParams, Sources
from infra.cli import app
from infra.local.embedded import free_port
from spark_jobs.jobs import variants
from spark_jobs.jobs.report import tag_models
from spark_jobs.lake.files import write_bytes
from spark_jobs.lifecycle.files import bring, leave
from spark_jobs.lifecycle.moves import demote, promote
from spark_jobs.lifecycle.registry import Registry, known_aliases
from spark_jobs.lifecycle.settling import Settled, Trained, settle
from spark_jobs.ranking.calibration import sigmoid
from spark_jobs.ranking.newest import Fold, Judged
from tests.experiment_samples import experiment

FIRST_DAY = date(2026, 3, 16)
DATA = DataFacts(features=("f_a", "f_b"), contracts={"gold.user_features": "1.1"}, settings={"horizon_days": "7"})
_RNG = np.random.default_rng(5)
_TRUTH = _RNG.normal(-2, 1.2, size=4000)
_FOLD = Fold(
    np.repeat(np.arange(1000, dtype=np.int64), 4),
    _RNG.random(4000) < sigmoid(_TRUTH),
    np.zeros(4000, np.int64),
    ("card",),
)
_FEW = Fold(_FOLD.user_ids[:40], _FOLD.labels[:40], _FOLD.families[:40], _FOLD.names)
# Loans are opened by far fewer than cards of the same log odds: more than calibration dares to correct.
_IS_LOAN = np.tile(np.array([False, True, False, True]), 1000)
_LOPSIDED = replace(
    _FOLD,
    labels=_FOLD.labels & (~_IS_LOAN | (_RNG.random(4000) < 0.17)),
    families=_IS_LOAN.astype(np.int64),
    names=("card", "loan"),
)
_NOISE = _TRUTH + np.random.default_rng(6).normal(0, 2, size=4000)


class Nights:
    """Nights that train one model each, on a lake and a registry of their own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.lake, self.url = str(folder / "lake"), url
        self.registry = Registry(url, lake=self.lake)
        self.day = FIRST_DAY

    def params(self) -> NightParams:
        return NightParams(as_of=self.day, lake=self.lake, sources=Sources(reference="unread"), registry=self.url)

    def train(self, files: bytes, *, better: bool) -> Settled:
        write_bytes(f"{self.params().models_uri}/products/booster.ubj", files)
        own, beside = (_TRUTH, _NOISE) if better else (_NOISE, _TRUTH)
        return self.settle(Judged(_FOLD, own, beside), DATA)

    def settle(self, judged: Judged | None, data: DataFacts) -> Settled:
        """Of what lies in tonight's folder; the next night is a week later."""
        trained = Trained({"training_rows": 10}, judged, {"rounds": 5}, {"f_a": 0.7, "f_b": 0.3})
        settled = settle(
            self.registry,
            "products",
            trained,
            aliases=self.registry.aliases()["products"],
            data=data,
            params=self.params(),
            drifted=0,
        )
        self.day += timedelta(days=7)
        return settled

    def train_on_other_features(self, files: bytes, judged: Judged | None) -> Settled:
        """With one that no champion knows."""
        write_bytes(f"{self.params().models_uri}/products/booster.ubj", files)
        return self.settle(judged, DATA.model_copy(update={"features": ("f_a", "f_b", "f_new")}))

    def numbers(self) -> tuple[int, int]:
        """Champion and challenger, 0 where there is none."""
        known = self.registry.aliases()["products"]
        return tuple(one.version if one else 0 for one in (known.champion, known.challenger))  # type: ignore[return-value]


@pytest.fixture
def nights(tmp_path: Path, registry_url: str) -> Nights:
    return Nights(tmp_path, registry_url)


def test_the_better_challenger_takes_over_and_the_decision_is_kept_with_its_evidence(nights: Nights) -> None:
    first = nights.train(b"one", better=True).used
    assert nights.numbers() == (1, 0)
    second = nights.train(b"two", better=True)
    assert second.used.version == 2
    assert nights.numbers() == (2, 0)
    judgement = nights.registry.judgement(second.used)
    assert judgement is not None
    assert (judgement.against, judgement.verdict.passed) == (1, True)
    assert [one["what"] for one in nights.registry.decisions(second.used)] == ["judged", "promoted"]
    assert "log loss saved" in nights.registry.decisions(second.used)[-1]["why"]

    assert demote(nights.registry, "products", actor="eve", why="odd lists") == first
    assert nights.numbers() == (1, 2)
    assert nights.registry.decisions(second.used)[-1]["by"] == "eve"
    promote(nights.registry, "products", None, actor="eve", why="it was the weather")
    assert nights.numbers() == (2, 0)


def test_a_challenger_that_lost_leaves_the_champion_and_is_refused_with_the_rule(nights: Nights) -> None:
    nights.train(b"one", better=True)
    lost = nights.train(b"two", better=False)
    assert lost.used.version == 1
    assert nights.numbers() == (1, 2)
    with pytest.raises(GateError, match=r"version 2 .* breaks the rule of promotion: gain"):
        promote(nights.registry, "products", None, actor="eve", why="I like it")
    assert nights.numbers() == (1, 2)
    with pytest.raises(InputError, match="the first champion"):
        demote(nights.registry, "products", actor="eve", why="")


def test_an_uplift_model_is_registered_checked_and_replaced_by_a_rule_of_its_own(
    nights: Nights, tmp_path: Path
) -> None:
    def train(content: bytes, gain: float) -> Settled:
        params = nights.params()
        write_bytes(f"{params.models_uri}/uplift/model.json", content)
        verdict = GateVerdict.of([asked("uplift_gain", gain, "gained", rules=PROMOTION)])
        trained = Trained({"qini": 0.1}, None, verdict=verdict)
        aliases = nights.registry.aliases()["uplift"]
        nights.day += timedelta(days=7)
        return settle(nights.registry, "uplift", trained, aliases=aliases, data=DATA, params=params, drifted=0)

    first = train(b"one", 0.0).used
    assert first.metrics == {"qini": 0.1} and first.files.keys() == {"uplift/model.json"}
    assert train(b"two", -0.01).used == first
    second = train(b"three", 0.01).used
    assert nights.registry.aliases()["uplift"].champion == second
    Path(second.uri, "uplift", "model.json").write_bytes(b"other")
    with pytest.raises(InputError, match="not the file that was registered"):
        bring(second, str(tmp_path / "night"), ("uplift",))


def test_where_the_champion_cannot_read_the_data_a_version_that_holds_alone_takes_over(nights: Nights) -> None:
    nights.train(b"one", better=True)
    second = nights.train_on_other_features(b"two", Judged(_FOLD, _TRUTH))
    assert (second.used.version, second.is_makeshift, nights.numbers()) == (2, False, (2, 0))
    judgement = nights.registry.judgement(second.used)
    assert judgement is not None
    assert judgement.against == 1
    assert {check.name for check in judgement.verdict.checks} == {"enough_cases", "calibration", "prohibited_features"}
    told = [(one["what"], one["why"]) for one in nights.registry.decisions(second.used)]
    assert [what for what, _ in told] == ["judged", "promoted"]
    assert all("cannot score (its feature list is another one" in why and "enough_cases" in why for _, why in told)


@pytest.mark.parametrize(
    ("judged", "rule"),
    [
        (Judged(_LOPSIDED, _TRUTH), "calibration"),
        (Judged(_FEW, _TRUTH[:40]), "enough_cases"),
        (None, "enough_cases"),
    ],
    ids=["families that are far off", "hardly a positive case", "no case at all"],
)
def test_where_the_champion_cannot_read_the_data_a_version_that_does_not_hold_scores_without_a_crown(
    nights: Nights, judged: Judged | None, rule: str
) -> None:
    nights.train(b"one", better=True)
    second = nights.train_on_other_features(b"two", judged)
    assert (second.used.version, second.is_makeshift, nights.numbers()) == (2, True, (1, 2))
    assert "scores uncrowned" in second.decision and f"): {rule} " in second.decision
    judgement = nights.registry.judgement(second.used)
    assert judgement is not None
    assert [check.name for check in judgement.verdict.failures] == [rule]
    assert [one["what"] for one in nights.registry.decisions(second.used)] == ["judged"]
    with pytest.raises(GateError, match=f"breaks the rule of promotion: {rule}"):
        promote(nights.registry, "products", None, actor="eve", why="I like it")


def test_a_version_is_only_promoted_over_the_champion_that_it_was_held_beside(nights: Nights) -> None:
    for files in (b"one", b"two", b"three"):
        nights.train(files, better=True)
    with pytest.raises(GateError, match="held beside version 1, not champion version 3"):
        promote(nights.registry, "products", 2, actor="eve", why="")
    with pytest.raises(InputError, match="no version 9: there are 1, 2, 3"):
        promote(nights.registry, "products", 9, actor="eve", why="")


def test_a_file_that_is_not_what_was_registered_scores_nobody(nights: Nights, tmp_path: Path) -> None:
    first = nights.train(b"one", better=True).used
    second = nights.train(b"two", better=True).used
    bring(second, str(tmp_path / "night"), ("products",))
    assert (tmp_path / "night" / "products" / "booster.ubj").read_bytes() == b"two"
    Path(second.uri, "products", "booster.ubj").write_bytes(b"2")
    with pytest.raises(InputError, match=r"products version 2 .*booster\.ubj is not the file that was registered"):
        bring(second, str(tmp_path / "night"), ("products",))
    shutil.rmtree(first.uri)
    with pytest.raises(InputError, match="is gone"):
        demote(nights.registry, "products", actor="eve", why="")


def test_the_same_files_are_one_version_and_a_run_tells_all_of_its_training(nights: Nights) -> None:
    used = nights.train(b"one", better=True).used
    nights.day = FIRST_DAY
    assert nights.train(b"one", better=True).used == used
    client = MlflowClient(tracking_uri=nights.url, registry_uri=nights.url)
    (stored,) = client.search_model_versions("name = 'products'")
    run = client.get_run(stored.run_id)
    assert {"seed", "horizon_days", "rounds"} <= set(run.data.params)
    assert run.data.metrics["auc_low"] < run.data.metrics["auc"] < run.data.metrics["auc_high"]
    assert "code_version" in run.data.tags
    kept = {one.path for one in client.list_artifacts(stored.run_id)}
    assert {"features.json", "contracts.json", "data_versions.json", "calibration.svg", "importance.svg"} <= kept
    card = Path(client.download_artifacts(stored.run_id, "model_card.md", str(Path(nights.lake)))).read_text()
    assert all(part in card for part in ("What it is for", "Trained on", "Known limits"))
    assert used.run.endswith(stored.run_id) and used.run.startswith(
        "http" if nights.url.startswith("http") else "runs:/"
    )


def test_while_the_registry_is_away_what_it_said_last_holds(nights: Nights) -> None:
    used = nights.train(b"one", better=True).used
    known, warning = known_aliases(f"http://127.0.0.1:{free_port()}", nights.lake)
    assert known["products"].champion == used
    assert "does not answer" in str(warning)


def test_files_that_an_alias_or_a_demotion_may_need_outlive_their_nights(nights: Nights) -> None:
    for files, better in ((b"one", True), (b"two", True), (b"three", True), (b"four", False)):
        nights.train(files, better=better)
    write_bytes(f"{nights.lake}/snapshots/2026-06-01.1/manifest.json", b"{}")
    removed = remove_old(nights.lake, keep=1, needed=())
    left = {path.name[:10] for path in Path(nights.lake, "models", "versions", "products").iterdir()}
    assert left == {"2026-03-23", "2026-03-30", "2026-04-06"}
    assert any(name.startswith("versions/products/2026-03-16") for name in removed.models)


def test_a_challenger_scores_for_whom_an_arm_names_it_with_the_files_that_were_registered(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = nights.train(b"one", better=True).used
    nights.train(b"two", better=False)
    monkeypatch.setattr(variants, "data_facts", lambda _spark, _params: {"products": DATA, "offers": DATA})
    arms = {"now": {"share": 0.5}, "next": {"share": 0.5, "variant": "challenger"}}

    def left(**changes: Any) -> NightModels:
        tonight = nights.params().model_copy(update={"experiments": (experiment(arms=arms, **changes),)})
        plan = NightModels(train=False, why="champion", used={"products": champion})
        return variants.leave_variants(cast("SparkSession", None), tonight, plan)

    assert {name: one.version for name, one in left().tried.items()} == {"products": 2}
    folder = Path(nights.params().models_uri, "challenger")
    assert (folder / "products" / "booster.ubj").read_bytes() == b"two"
    of_offers = left(kinds=["offer"])
    assert "no challenger can score" in of_offers.warnings[0] and not of_offers.tried and not folder.exists()


def test_the_commands_list_and_refuse_with_the_exit_code_of_a_gate(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.train(b"one", better=True)
    nights.train(b"two", better=False)
    first = nights.registry.aliases()["products"].champion
    assert first is not None
    leave(nights.params(), NightModels(train=True, why="asked to", used={"products": first}))
    tag_models(nights.params(), "lake/reports/2026-03-16.1/index.html")
    monkeypatch.setenv("RECS_MLFLOW_URL", nights.url)
    monkeypatch.setenv("RECS_LAKE", nights.lake)
    listed = CliRunner().invoke(app, ["models", "products", "--json"])
    assert '"alias": "champion"' in listed.stdout
    told = {one["version"]: one["report"] for one in json.loads(listed.stdout)}
    assert told == {1: "lake/reports/2026-03-16.1/index.html", 2: ""}
    refused = CliRunner().invoke(app, ["promote", "products"])
    assert isinstance(refused.exception, GateError)
