"""The benchmarks there are, and what they measured last: one JSON file each in `results/`, kept in the repository."""

import hashlib
import importlib
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from data_contracts.errors import InputError
from infra.bench.figure import Figure

_ROOT = Path(__file__).resolve().parents[2]
_RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Bench:
    """`function` is `module:name`, gives figures; `depends` are the paths whose change makes its figures stale."""

    name: str
    function: str
    depends: tuple[str, ...]
    about: str

    def run(self, **given: Any) -> list[Figure]:
        module, name = self.function.split(":")
        function: Callable[..., list[Figure]] = getattr(importlib.import_module(module), name)
        return function(**given)

    @property
    def code(self) -> str:
        """Hash of what the figures depend on."""
        digest = hashlib.sha256()
        for path in sorted(file for place in self.depends for file in _sources(_ROOT / place)):
            digest.update(path.relative_to(_ROOT).as_posix().encode() + path.read_bytes())
        return digest.hexdigest()[:16]


_SERVING = ("api", "sql", "data_contracts", "infra/local/clickhouse")
_LOOKUP = (
    *_SERVING,
    *(f"infra/bench/{name}.py" for name in ("lookup", "lookup_world", "contenders", "load", "http_client", "service")),
    "infra/bench/lookup_figures.py",
    "infra/bench/obvious_service.py",
)
_OVERLAY = (*_SERVING, "infra/overlay.py", "infra/local/kafka", "infra/bench/overlay.py")
_OUTBOUND = (*_LOOKUP, "infra/bench/outbound.py")
_LANDING = ("spark_jobs/landing", "data_contracts/events", "infra/local/kafka", "infra/bench/landing.py")
_MODELS = (
    *(f"spark_jobs/{part}" for part in ("features", "ranking", "evaluation")),
    "infra/local/world",
    "infra/bench/quality.py",
)
_RETRIEVAL = (
    "spark_jobs/candidates",
    *(f"spark_jobs/evaluation/{name}.py" for name in ("files", "fusion", "metrics")),
    "spark_jobs/features/history.py",
    "infra/bench/retrieval.py",
)
_NIGHT = ("spark_jobs", "dagster_project", "data_contracts", "sql")

BENCHES = {
    bench.name: bench
    for bench in (
        Bench(
            "score",
            "infra.bench.score:run",
            ("spark_jobs/scoring", "spark_jobs/ranking", "infra/bench/score.py"),
            "the scoring stage",
        ),
        Bench("demo", "infra.bench.demo:run", (*_NIGHT, "infra/demo.py", "infra/local"), "make demo after set-up"),
        Bench("tecd", "infra.bench.tecd:run", _NIGHT, "the night and the backtest on real T-ECD days"),
        Bench("retrieval", "infra.bench.retrieval:run", _RETRIEVAL, "candidate sources on public data sets"),
        Bench("quality", "infra.bench.quality:run", _MODELS, "product lists against the sample world's truth"),
        Bench("checks", "infra.bench.checks:run", _NIGHT, "checking tables against their contracts"),
        Bench("night-days", "infra.bench.night_growth:by_history", _NIGHT, "how a night grows with days of history"),
        Bench("night-users", "infra.bench.night_growth:by_users", _NIGHT, "how a night grows with users"),
        Bench("publish", "infra.bench.publish:run", (*_SERVING, "infra/bench/publish.py"), "loading and publishing"),
        Bench("lookup", "infra.bench.lookup:run", _LOOKUP, "look-ups"),
        Bench("soak", "infra.bench.soak:run", (*_LOOKUP, "infra/bench/soak.py"), "look-ups for ten minutes"),
        Bench("overlay", "infra.bench.overlay:run", _OVERLAY, "streamed events until they are in answers"),
        Bench("outbound", "infra.bench.outbound:run", _OUTBOUND, "everybody's lists in bulk, and as files"),
        Bench("landing", "infra.bench.landing:run", _LANDING, "landing events from Kafka"),
        Bench(
            "allocation",
            "infra.bench.allocation:run",
            ("spark_jobs/campaigns", "infra/bench/allocation.py"),
            "users to campaigns",
        ),
        Bench("world", "infra.bench.world:run", ("infra/local/world",), "the sample world's generator"),
    )
}


def chosen(names: Sequence[str]) -> list[Bench]:
    """The named benchmarks, or all whose code changed since they were measured."""
    unknown = sorted(set(names) - set(BENCHES))
    if unknown:
        raise InputError(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    return [BENCHES[name] for name in names] if names else [bench for bench in BENCHES.values() if is_stale(bench)]


def is_stale(bench: Bench) -> bool:
    saved = _saved(bench)
    return saved is None or saved["code"] != bench.code


def measure(bench: Bench, **given: Any) -> list[dict[str, Any]]:
    """Run a benchmark, keep its figures, return them as rows."""
    figures = bench.run(**given)
    _RESULTS.mkdir(exist_ok=True)
    saved = {
        "code": bench.code,
        "measured_on": date.today().isoformat(),
        "machine": machine(),
        "figures": [asdict(figure) for figure in figures],
    }
    (_RESULTS / f"{bench.name}.json").write_text(json.dumps(saved, indent=2) + "\n")
    return rows(bench)


def rows(bench: Bench) -> list[dict[str, Any]]:
    """The figures measured last, as `recs bench --json` prints them."""
    saved = _saved(bench)
    if saved is None:
        return []
    figures = [Figure(**figure) for figure in saved["figures"]]
    return [
        {
            "bench": bench.name,
            "figure": figure.name,
            "value": figure.value,
            "unit": figure.unit,
            "reference": figure.reference,
            "ratio": figure.ratio,
            "goal": figure.goal,
            "goal_on": figure.goal_on,
            "better": figure.better,
            "met": figure.met,
            "note": figure.note,
            "machine": saved["machine"],
        }
        for figure in figures
    ]


def machine() -> str:
    """The machine in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = psutil.virtual_memory().total / 2**30
    return f"{model}, {psutil.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"


def _saved(bench: Bench) -> dict[str, Any] | None:
    path = _RESULTS / f"{bench.name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def _sources(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return [path for path in place.rglob("*") if path.suffix in {".py", ".sql", ".yaml", ".avsc"} and path.is_file()]
