"""Bench `retrieval`: ALS, item-item and their fusion on two public data sets, beside what others published of the same.

MovieLens-1M in the protocol of He et al., "Neural Collaborative Filtering", WWW 2017: everybody's last film and 99 that
were drawn, HR@10 and NDCG@10. The references are table 55 of the online appendix of Ferrari Dacrema, Boglio, Cremonesi
and Jannach, "A Troubling Analysis of Reproducibility and Progress in Recommender Systems Research", TOIS 2021: iALS of
46 factors, so ours has 46; ItemKNN by cosine, the best of their five by NDCG@10; TopPopular.

Gowalla in the split of He et al., "LightGCN", SIGIR 2020: all items but those of train are ranked, recall@20 and
NDCG@20. The references are the leaderboard gowalla_m1 of Zhu et al., "BARS: Towards Open Benchmarking for Recommender
Systems", SIGIR 2022: ItemCF of 100 neighbours, so ours has as many beside the item itself; and ENMF of 64 factors,
which minimises the loss of ALS by gradients. ALS itself is not on that leaderboard.

Histories are longer in the first (165 films on average, 19 at least) than in the second (half have up to 16 places).
Settings were chosen on what was held out of train (`recs backtest --train` without a test), never on the test.
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data_contracts.columns import ITEM_ID, USER_ID
from data_contracts.errors import InputError
from infra.bench.figure import Figure
from spark_jobs.candidates.params import RetrievalParams
from spark_jobs.evaluation.files import FILE_RETRIEVAL, LONG_ITEMS, MIDDLE_ITEMS, FilesReport, backtest_files
from spark_jobs.evaluation.intervals import Estimate, bootstrap

# Beside the checkout; not part of the project: neither set may be handed on.
PUBLIC = Path(__file__).resolve().parents[3] / "shared" / "data" / "public"
SINGLE = ("popular", "itemcf", "als")
_LENGTHS = {
    "all": (0, np.inf),
    f"histories below {MIDDLE_ITEMS}": (0, MIDDLE_ITEMS - 1),
    f"histories of {MIDDLE_ITEMS} to {LONG_ITEMS - 1}": (MIDDLE_ITEMS, LONG_ITEMS - 1),
    f"histories from {LONG_ITEMS}": (LONG_ITEMS, np.inf),
}
# Users of a length that are enough for a figure.
_ENOUGH = 500
# Below the published figure by what users drawn anew would make of it: 6,040 with HR .71 have a standard error of .006.
_LEVEL = 0.98


@dataclass(frozen=True)
class PublicSet:
    """files: as they were published, below `folder`. published: metric@k -> source -> figure."""

    folder: str
    files: tuple[str, ...]
    origin: str
    k: int
    retrieval: RetrievalParams
    published: Mapping[str, Mapping[str, float]]


MOVIELENS = PublicSet(
    folder="ml-1m",
    files=("ml-1m.train.rating", "ml-1m.test.rating", "ml-1m.test.negative"),
    origin="folder Data of the repository hexiangnan/neural_collaborative_filtering",
    k=10,
    retrieval=FILE_RETRIEVAL.model_copy(
        update={
            "als_factors": 46,
            "als_alpha": 2.0,
            "als_regularization": 50.0,
            "neighbour_exponent": 0.0,
            "neighbours_centred": False,
        }
    ),
    published={
        "hit_rate@10": {"popular": 0.4533, "itemcf": 0.6694, "als": 0.7109},
        "ndcg@10": {"popular": 0.2542, "itemcf": 0.3979, "als": 0.4382},
    },
)
GOWALLA = PublicSet(
    folder="gowalla",
    files=("train.txt", "test.txt"),
    origin="folder Data/gowalla of the repository kuandeng/LightGCN",
    k=20,
    retrieval=FILE_RETRIEVAL.model_copy(
        update={
            "als_alpha": 40.0,
            "als_regularization": 100.0,
            "neighbours": 101,
            "activity_exponent": 0.0,
        }
    ),
    published={
        "recall@20": {"itemcf": 0.157, "als": 0.1523},
        "ndcg@20": {"itemcf": 0.1214, "als": 0.1315},
    },
)


def run(folder: Path | None = None) -> list[Figure]:
    """Of the data sets whose folders are there. Raises InputError where none is, or where one lacks a file."""
    place = folder or PUBLIC
    found = [public for public in (MOVIELENS, GOWALLA) if (place / public.folder).exists()]
    for public in found or (MOVIELENS, GOWALLA):
        missing = [name for name in public.files if not (place / public.folder / name).exists()]
        if missing:
            raise InputError(f"no {', '.join(missing)} in {place / public.folder}: take them from the {public.origin}")
    return [figure for public in found for figure in figures_of(public, place)]


def figures_of(public: PublicSet, place: Path) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="bench-retrieval-") as written:
        names = ("train", "test", "candidates")
        paths = {name: f"{written}/{name}.parquet" for name in names[: len(public.files)]}
        for name, file in zip(paths, public.files, strict=True):
            pairs(place / public.folder / file).to_parquet(paths[name])
        report = backtest_files(
            paths["train"],
            paths["test"],
            candidates=paths.get("candidates"),
            k=public.k,
            exclude_seen=True,
            retrieval=public.retrieval,
        )
    return [*published_figures(public, report), *fusion_figures(public, report)]


def pairs(path: Path) -> pd.DataFrame:
    """user_id, item_id of a file in a published layout.

    `.rating`: user, item and what else there is, by tabs. `.negative`: (user, item met) and drawn items, by tabs.
    `.txt`: a user and all their items, by spaces.
    """
    if path.suffix == ".rating":
        return pd.read_csv(path, sep="\t", header=None, usecols=[0, 1], names=[USER_ID, ITEM_ID])
    rows = [_row(line) for line in path.read_text().splitlines()]
    users = np.repeat([user for user, _ in rows], [len(items) for _, items in rows])
    return pd.DataFrame({USER_ID: users, ITEM_ID: [item for _, items in rows for item in items]})


def _row(line: str) -> tuple[int, list[int]]:
    first, *rest = line.split()
    return int(first.strip("()").split(",")[0]), [int(item) for item in rest]


def published_figures(public: PublicSet, report: FilesReport) -> Iterator[Figure]:
    means = report.means()
    for metric, by_source in public.published.items():
        for source, reference in by_source.items():
            name = f"{public.folder}: {metric}, {source}"
            goal = None if source == "popular" else _LEVEL
            value = round(means[source][metric][0], 4)
            yield Figure(
                name, value, "", reference, goal, "higher", "ratio", note=f"reference: published; {_settings(public)}"
            )


def _interval(difference: Estimate) -> str:
    return f"difference {difference.low:+.4f} to {difference.high:+.4f}"


def _settings(public: PublicSet) -> str:
    return f"d = {public.retrieval.als_factors}"


def fusion_figures(public: PublicSet, report: FilesReport) -> Iterator[Figure]:
    """The learned fusion beside the best single source of each length of history, by the test itself."""
    metric = f"ndcg@{public.k}"
    values = {source: report.figures[source][metric][0] for source in (*SINGLE, "blend", "fused")}
    for name, (least, most) in _LENGTHS.items():
        users = (report.sizes >= least) & (report.sizes <= most) & ~np.isnan(values["fused"])
        if users.sum() < _ENOUGH:
            continue
        means = {source: float(of[users].mean()) for source, of in values.items()}
        best = max(SINGLE, key=means.__getitem__)
        paired = bootstrap((values["fused"] - values[best])[users, None], seed=7)[0]
        beside = ", ".join(f"{source} {means[source]:.4f}" for source in ("itemcf", "als", "blend"))
        yield Figure(
            f"{public.folder}: {metric}, fused, {name}",
            round(means["fused"], 4),
            "",
            reference=round(means[best], 4),
            goal=1.0,
            better="higher",
            goal_on="ratio",
            note=f"{users.sum():,} users; reference: {best}; {_interval(paired)}; {beside}",
        )
