"""Pipelines call targets that exist, in an order that lets nothing out untested; a canary is part of production."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITLAB: dict[str, Any] = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text(encoding="utf-8"))
GITHUB: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "delivery.yml").read_text(encoding="utf-8"))
JOBS = {name: job for name, job in GITLAB.items() if isinstance(job, dict) and "script" in job}
CI_RUN = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
STEPS = [step["run"] for job in GITHUB["jobs"].values() for step in job["steps"] if "run" in step]
MATRIX = [
    target for job in GITHUB["jobs"].values() for target in job.get("strategy", {}).get("matrix", {}).get("target", [])
]


def targets(lines: list[str]) -> set[str]:
    words = " ".join(lines).replace("make", " ").split()
    return {word for word in words if re.fullmatch(r"[a-z-]+", word)}


OF_GITLAB = targets([line for job in JOBS.values() for line in job["script"]])
OF_GITHUB = targets([*[step for step in STEPS if "matrix" not in step], *MATRIX])
GOES_OUT = {"canary", "release", "rollback"}


def told(*wanted: str, **given: str) -> str:
    """What make would run, without running it."""
    environment = {**os.environ, "VERSION": "v1.2.3", "KUBE_CONTEXT": "prod", "CHARTS": "oci://c", **given}
    done = subprocess.run(
        ["make", "-n", *wanted], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("target", sorted(OF_GITLAB | OF_GITHUB))
def test_a_pipeline_calls_a_target_that_exists(target: str) -> None:
    assert told(target)


def test_both_pipelines_do_the_same() -> None:
    assert OF_GITLAB == OF_GITHUB


def steps_of_github() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each step that runs something: its job's name, itself and all variables that it sees."""
    for name, job in GITHUB["jobs"].items():
        for step in job["steps"]:
            if "run" in step:
                yield name, step, {**GITHUB.get("env", {}), **job.get("env", {}), **step.get("env", {})}


def test_whatever_goes_out_knows_the_registry_its_images_are_in() -> None:
    seen = set()
    for name, step, variables in steps_of_github():
        if targets([step["run"]]) & GOES_OUT:
            seen.add(name)
            assert variables["REGISTRY"] == "${{ vars.REGISTRY }}", name
            assert variables["KUBE_CONTEXT"] == "${{ vars.KUBE_CONTEXT_PROD }}", name
    for name in (name for name, job in JOBS.items() if targets(job["script"]) & GOES_OUT):
        seen.add(name)
        [line] = [line for line in JOBS[name]["script"] if targets([line]) & GOES_OUT]
        assert "REGISTRY=$REGISTRY" in line and "KUBE_CONTEXT=$KUBE_CONTEXT_PROD" in line, name
    assert seen == {"canary", "production", "rollback"}
    for target in ("canary", "release"):
        assert "images.repository=cr.bank/recs," in told(target, REGISTRY="cr.bank/recs")


def test_notes_see_the_tag_before_and_are_kept_as_what_is_in_the_images_is() -> None:
    assert GITLAB["variables"]["GIT_DEPTH"] == "0"
    assert JOBS["production"]["artifacts"]["paths"] == ["build/notes-*.md"]
    assert JOBS["audit"]["artifacts"]["paths"] == ["build/sbom"]
    for name, path in (("production", "build/notes-*.md"), ("check", "build/sbom")):
        used = {step["uses"].split("@")[0]: step["with"] for step in GITHUB["jobs"][name]["steps"] if "with" in step}
        assert used["actions/checkout"]["fetch-depth"] == 0
        assert used["actions/upload-artifact"]["path"] == path


def test_nothing_goes_out_that_was_not_tested_or_has_no_tag() -> None:
    stages = GITLAB["stages"]
    assert {JOBS[name]["stage"] for name in ("check", "test", "test-cloud", "audit")} == {"check"}
    assert stages.index("check") < stages.index(JOBS["images"]["stage"]) < stages.index(JOBS["canary"]["stage"])
    assert stages.index(JOBS["canary"]["stage"]) < stages.index(JOBS["production"]["stage"])
    for name in ("images", "canary", "production", "rollback"):
        assert "CI_COMMIT_TAG" in JOBS[name]["rules"][0]["if"], name
    assert JOBS["production"]["rules"][0]["when"] == JOBS["rollback"]["rules"][0]["when"] == "manual"
    jobs = GITHUB["jobs"]
    needs = {name: job.get("needs") for name, job in jobs.items()}
    assert needs == {"check": None, "images": "check", "canary": "images", "production": "canary", "rollback": None}
    assert "tags/v" in jobs["images"]["if"] and jobs["production"]["environment"] == "production"


def test_a_rollback_by_hand_waits_for_nothing_and_tests_and_builds_nothing() -> None:
    on, jobs = GITHUB[True], GITHUB["jobs"]  # YAML 1.1 reads the word `on` so
    assert "workflow_dispatch" in on
    assert jobs["rollback"]["if"] == "github.event_name == 'workflow_dispatch'"
    assert jobs["check"]["if"] == "github.event_name != 'workflow_dispatch'"
    assert jobs["rollback"]["environment"] == "production"
    assert "github.event_name" in GITHUB["concurrency"]["group"], "else it waits for the checks of the same branch"


def test_a_version_is_that_of_images_and_chart_alike() -> None:
    made = told("images", "scan", "push", "chart", "release")
    assert re.findall(r"/\$name:([\w.]+)", made) == ["1.2.3"] * 3
    assert "--version 1.2.3 --app-version 1.2.3" in made
    assert "images.day=1.2.3,images.night=1.2.3" in made and "--atomic" in made


@pytest.mark.skipif(
    shutil.which("helm") is None, reason="helm is not here (infra/setup.sh cloud builds it where Go is)"
)
def test_the_canary_stands_behind_productions_services_and_brings_none_of_the_night() -> None:
    sets = re.findall(r"--set (\S+)", told("canary"))
    chart = ROOT / "infra" / "helm" / "recs"
    command = [
        "helm",
        "template",
        "recs-canary",
        str(chart),
        "--kube-version",
        "1.31",
        "-f",
        str(chart / "values-prod.yaml"),
    ]
    for one in sets:
        command += ["--set", one]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = [one for one in yaml.safe_load_all(done.stdout) if one]
    pods = {
        one["metadata"]["name"]: one["spec"]["template"] for one in made if one["kind"] in ("Deployment", "StatefulSet")
    }
    assert set(pods) == {
        f"recs-canary-{role}" for role in ("lookup", "grpc", "feedback", "operators", "overlay", "land")
    }
    golden = yaml.safe_load_all((ROOT / "infra" / "helm" / "golden" / "prod.yaml").read_text(encoding="utf-8"))
    services = {one["metadata"]["name"]: one["spec"]["selector"] for one in golden if one and one["kind"] == "Service"}
    for role in ("lookup", "grpc", "feedback", "operators"):
        assert services[f"recs-{role}"].items() <= pods[f"recs-canary-{role}"]["metadata"]["labels"].items()
    certificates = [one["spec"]["secretName"] for one in made if one["kind"] == "Certificate"]
    assert certificates == ["recs-canary-tls"], "not production's"


def test_gitlabs_jobs_run_where_every_command_is_that_they_call() -> None:
    assert GITLAB["default"]["image"] == "${CI_IMAGE}" and not any("image" in job for job in JOBS.values())
    made = (ROOT / "infra" / "images" / "ci.Dockerfile").read_text(encoding="utf-8")
    called = set(re.findall(r"\b(docker|trivy|helm|git|terraform)\b", told(*sorted(OF_GITLAB | {"ci-image"}))))
    needed = {
        *called,
        "make",
        "go",
        "kubeconform",
        *re.findall(r"^needs \w+ (\w+)", CI_RUN, re.MULTILINE),
        "postgresql",
    }
    assert {"docker", "trivy", "helm", "git", "chromium", "prometheus"} <= needed
    installed = set(re.findall(r"no-install-recommends ([^\n]*?) \\", made)[0].split())
    installed |= found_in(made)
    assert needed <= installed, needed - installed


def found_in(dockerfile: str) -> set[str]:
    copied = re.findall(r"COPY --from=\w+ \S+ /usr/local/(?:bin/)?(\w+)", dockerfile)
    return {*copied, *re.findall(r"/cmd/(\w+)@", dockerfile)}


def test_the_image_of_gitlabs_jobs_has_the_versions_that_set_up_builds() -> None:
    made = (ROOT / "infra" / "images" / "ci.Dockerfile").read_text(encoding="utf-8")
    setup = (ROOT / "infra" / "setup.sh").read_text(encoding="utf-8")
    tools = re.findall(r"\S+/cmd/\w+@v[\d.]+", setup)
    assert len(tools) == 2 and all(f"go install {tool}" in made for tool in tools)
    assert all(
        re.search(r":\d+\.\d+", line) for line in made.splitlines() if line.startswith("FROM ") and "$" not in line
    )
