"""A user's turnover and balance in the months that are over and told. What is unknown stays NaN."""

from collections.abc import Callable, Iterator

import numpy as np

from spark_jobs.features.base import Categories, Feature, Floats, Moment, Rows
from spark_jobs.features.sources import MONEY

# Months that the trend compares the last one with.
_BEFORE = 3


def features(_: Categories) -> Iterator[Feature]:
    for name in ("turnover", "balance"):
        yield Feature(f"f_money_{name}", f"{name} of the last whole month", "RUB", MONEY, _last(name))
        told = f"{name} of the last whole month less the mean of the {_BEFORE} before it, as a share of both"
        yield Feature(f"f_money_{name}_trend", told, "share", MONEY, _trend(name))


def _last(name: str) -> Callable[[Rows, Moment], Floats]:
    return lambda rows, _: rows.where(months_ago="0").max(name)


def _trend(name: str) -> Callable[[Rows, Moment], Floats]:
    """-1 .. 1, NaN where either side is unknown or both are nothing."""

    def column(rows: Rows, moment: Moment) -> Floats:
        last = _last(name)(rows, moment)
        before = np.column_stack([rows.where(months_ago=str(ago)).max(name) for ago in range(1, _BEFORE + 1)])
        months = np.sum(~np.isnan(before), axis=1)
        mean = np.where(months > 0, np.nansum(before, axis=1) / np.maximum(months, 1), np.nan)
        total = np.abs(last) + np.abs(mean)
        return np.divide(last - mean, total, out=np.full(rows.users, np.nan), where=total > 0)

    return column
