"""The bench of public data reads published layouts, says what is missing, and holds fusion against the best source."""

from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import InputError
from infra.bench.retrieval import GOWALLA, MOVIELENS, fusion_figures, pairs, published_figures, run
from spark_jobs.evaluation.files import FilesReport


def report(k: int, **means: float) -> FilesReport:
    """Of 600 users with short histories and 600 with long ones; the long get half of what the short get."""
    metrics = (f"ndcg@{k}", f"recall@{k}", f"hit_rate@{k}")
    values = {source: np.repeat([mean, mean / 2], 600) for source, mean in means.items()}
    return FilesReport(
        np.repeat([5, 100], 600), {source: {key: [of] for key in metrics} for source, of in values.items()}
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.rating", "0\t25\t5\t978824351\n0\t7\t3\t978824352\n3\t1\t4\t978824353\n"),
        ("a.rating", "0\t25\n0\t7\n3\t1\n"),
        ("a.negative", "(0,9)\t25\t7\n(3,8)\t1\n"),
        ("a.txt", "0 25 7\n3 1\n4\n"),
    ],
)
def test_published_layouts_give_pairs(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert pairs(tmp_path / name).to_numpy().tolist() == [[0, 25], [0, 7], [3, 1]]


def test_missing_data_are_named_with_where_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no ml-1m\.train\.rating, .* hexiangnan/neural_collaborative_filtering"):
        run(tmp_path)
    (tmp_path / "gowalla").mkdir()
    with pytest.raises(InputError, match=r"no train\.txt, test\.txt .* kuandeng/LightGCN"):
        run(tmp_path)


def test_a_source_is_at_the_published_level_or_it_is_not() -> None:
    figures = {
        figure.name: figure for figure in published_figures(GOWALLA, report(20, itemcf=0.24, als=0.15, popular=0.1))
    }
    own = figures["gowalla: recall@20, itemcf"]
    assert (own.value, own.reference, own.met) == (0.18, 0.157, True)
    assert figures["gowalla: recall@20, als"].met is False


def test_fusion_stands_beside_the_best_single_source_of_each_length() -> None:
    found = report(10, itemcf=0.3, als=0.2, popular=0.1, blend=0.2, fused=0.29)
    found.figures["als"]["ndcg@10"][0][600:] = 0.145
    figures = {figure.name.split(", ")[-1]: figure for figure in fusion_figures(MOVIELENS, found)}
    assert list(figures) == ["all", "histories below 16", "histories from 64"]
    assert "reference: itemcf" in figures["histories below 16"].note and not figures["histories below 16"].met
    assert figures["histories from 64"].reference == 0.15 and not figures["histories from 64"].met
    assert "-0.0050 to -0.0050" in figures["histories from 64"].note
