"""Explored answers as a log of items in positions, for off-policy estimates of another order of the same items. Pure.

The estimator is that of item and position: Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay and Wen, "Offline
evaluation of ranking policies with click models" (KDD 2018). The reward of a shown item is its click.
"""

from collections.abc import Collection, Sequence
from enum import StrEnum

import numpy as np
import pyarrow as pa

from data_contracts.columns import USER_ID
from data_contracts.errors import InputError
from data_contracts.vocabulary import Kind
from spark_jobs.evaluation.off_policy import LoggedExposures


class Target(StrEnum):
    """Orders to ask of: as served but without exploration, or by probability alone."""

    UNEXPLORED = "unexplored"
    BY_SCORE = "by_score"


def logged_exposures(exposures: pa.Table, clicks: Collection[tuple[str, str]], *, target: Target) -> LoggedExposures:
    """A row an item shown, in answers of one kind.

    exposures: user_id, rec_id, kind, item_ids, item_scores, propensities; clicks: (rec_id, item_id). The model of
    rewards is each position's rate of clicks. Raises InputError where nothing was shown.
    """
    rows = [
        (answer[USER_ID], place, (answer["rec_id"], answer["item_ids"][place]) in clicks, chance, wanted, has_support)
        for answer in exposures.to_pylist()
        if answer["kind"] in set(Kind)
        for place, (chance, wanted, has_support) in enumerate(_of_answer(answer, target))
    ]
    if not rows:
        raise InputError("no item was shown: there is nothing to weigh")
    user_ids, places, reward, logged, wanted, supported = (np.array(column) for column in zip(*rows, strict=True))
    clicked = reward.astype(np.float64)
    rates = np.bincount(places, clicked) / np.maximum(np.bincount(places), 1)
    return LoggedExposures(
        user_ids=user_ids.astype(np.int64),
        reward=clicked,
        logged=logged.astype(np.float64),
        target=wanted.astype(np.float64),
        expected=rates[places],
        expected_target=rates[places],
        supported=supported.astype(np.float64),
    )


def _of_answer(answer: dict[str, Sequence[float]], target: Target) -> list[tuple[float, bool, bool]]:
    """By position: the logged chance, whether the target shows there what was shown, whether logging could show that.

    Who changed places has a chance below a half (data_contracts/experiments/explore.py): so the order before is known.
    """
    chances = answer["propensities"]
    before = list(range(len(chances)))
    moved = [place for place, chance in enumerate(chances) if chance < 0.5]
    if moved:
        before[moved[0]], before[moved[1]] = moved[1], moved[0]
    wanted = list(range(len(chances)))
    if target is Target.BY_SCORE:
        scores = [-1.0 if answer["item_scores"][place] is None else answer["item_scores"][place] for place in before]
        wanted.sort(key=lambda place: -scores[place])
    reach = 1 if any(chance < 1 for chance in chances) else 0
    return [
        (chance, wanted[place] == before[place], abs(wanted[place] - place) <= reach)
        for place, chance in enumerate(chances)
    ]
