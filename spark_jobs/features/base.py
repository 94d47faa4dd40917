"""What a feature is, the moment it is seen from, and the rows it is computed of. Pure NumPy: no Spark in here.

Spark condenses each source of facts to a few rows a user (`sources`); a feature is a function from the rows of one
source, for a block of users, to one number a user. So features are tested without Spark, and adding one costs no plan.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from data_contracts.columns import FEATURE_PREFIX
from data_contracts.vocabulary import Family

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MICROS_PER_DAY = 86_400_000_000
# By T-ECD domain, the item categories that have features of their own.
Categories = Mapping[str, tuple[str, ...]]
FAMILIES: tuple[str, ...] = tuple(family.value for family in Family)


@dataclass(frozen=True)
class Moment:
    """As-of: the date and the aware moment before which everything happened."""

    as_of: date
    cut_off: datetime

    @property
    def micros(self) -> int:
        """Microseconds since 1970 UTC."""
        return round(self.cut_off.timestamp()) * 1_000_000


@dataclass(frozen=True)
class Words:
    """A column of words as codes: `names[codes]`, -1 where unknown."""

    codes: npt.NDArray[np.int32]
    names: tuple[str, ...]

    @classmethod
    def of(cls, words: Sequence[str | None]) -> Self:
        names = tuple(sorted({word for word in words if word is not None}))
        positions = {name: number for number, name in enumerate(names)}
        return cls(np.array([-1 if word is None else positions[word] for word in words], np.int32), names)

    def are(self, word: str) -> Bools:
        if word not in self.names:
            return np.zeros(len(self.codes), dtype=bool)
        return np.asarray(self.codes == self.names.index(word))


@dataclass(frozen=True)
class Rows:
    """Rows of one source for a block of `users` users, or those of them that `where` chose.

    user int64 [R]: position of the row's user in the block, ascending; keys [R]; numbers float64 [R], NaN
    where unknown. Every reduction gives float64 [users].
    """

    users: int
    user: Ints
    keys: Mapping[str, Words]
    numbers: Mapping[str, Floats]
    chosen: Ints | None = None
    _found: dict[tuple[tuple[str, str], ...], Ints] = field(default_factory=dict, repr=False, compare=False)

    def where(self, **words: str) -> "Rows":
        """Rows whose keys say so. Answers are remembered, since many features ask the same."""
        asked = tuple(sorted(words.items()))
        if self.chosen is not None:
            raise ValueError("ask once, with every key")
        if asked not in self._found:
            is_such = np.ones(len(self.user), dtype=bool)
            for key, word in asked:
                is_such &= self.keys[key].are(word)
            self._found[asked] = np.flatnonzero(is_such)
        return Rows(self.users, self.user, self.keys, self.numbers, self._found[asked])

    def sum(self, name: str) -> Floats:
        """0 where there are no rows; unknown numbers count as 0."""
        values = np.nan_to_num(self.values(name))
        return np.bincount(self.users_of_rows, weights=values, minlength=self.users).astype(np.float64)

    def count(self) -> Floats:
        return np.bincount(self.users_of_rows, minlength=self.users).astype(np.float64)

    def max(self, name: str) -> Floats:
        """NaN where there are no rows."""
        return self._by_user(np.fmax.reduceat, self.values(name), nothing=np.nan)

    def min(self, name: str) -> Floats:
        """NaN where there are no rows."""
        return self._by_user(np.fmin.reduceat, self.values(name), nothing=np.nan)

    def bits(self, name: str) -> Floats:
        """How many bits are set in any row, of whole numbers below 2 ** 53."""
        united = self._by_user(np.bitwise_or.reduceat, np.nan_to_num(self.values(name)).astype(np.int64), nothing=0)
        bits = np.unpackbits(united.astype("<i8").view(np.uint8).reshape(-1, 8), axis=1)
        return np.asarray(bits.sum(axis=1), dtype=np.float64)

    @property
    def users_of_rows(self) -> Ints:
        """The user of each row."""
        return self.user if self.chosen is None else self.user[self.chosen]

    def values(self, name: str) -> Floats:
        """A number of each row."""
        return self.numbers[name] if self.chosen is None else self.numbers[name][self.chosen]

    def codes(self, key: str) -> Ints:
        """A key of each row, as a position among its words; -1 where unknown."""
        codes = self.keys[key].codes
        return (codes if self.chosen is None else codes[self.chosen]).astype(np.int64)

    def _by_user(self, reduce_at: Callable[..., Any], values: npt.NDArray[Any], *, nothing: float) -> npt.NDArray[Any]:
        """`values` of each run of rows of one user, reduced."""
        user = self.users_of_rows
        answer = np.full(self.users, nothing, dtype=values.dtype)
        if len(user):
            starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]])
            answer[user[starts]] = reduce_at(values, starts)
        return answer


@dataclass(frozen=True)
class Feature:
    """`column` computes the feature from the rows of `source`: float64 [users], NaN where nothing is known.

    `name` is f_<area>_<what>; what is told for every product family ends in the family, and then all nine exist.
    """

    name: str
    description: str
    unit: str
    source: str
    column: Callable[[Rows, Moment], Floats]
    half_life_days: float | None = None
    owner: str = "team:data-platform"

    def __post_init__(self) -> None:
        """Refuse a name that nobody would find."""
        if not self.name.startswith(FEATURE_PREFIX):
            raise ValueError(f"feature {self.name} must be named {FEATURE_PREFIX}<area>_<what>")


def decayed_count(words: Mapping[str, str], half_life_days: int) -> Callable[[Rows, Moment], Floats]:
    return lambda rows, _: rows.where(**words).sum(f"count_{half_life_days}d")


def decayed_spend(words: Mapping[str, str], half_life_days: int) -> Callable[[Rows, Moment], Floats]:
    return lambda rows, _: rows.where(**words).sum(f"spend_{half_life_days}d")


def days_since(words: Mapping[str, str]) -> Callable[[Rows, Moment], Floats]:
    return lambda rows, _: rows.where(**words).min("age")


def flag(words: Mapping[str, str]) -> Callable[[Rows, Moment], Floats]:
    """1 where there is such a row, else 0."""
    return lambda rows, _: np.minimum(rows.where(**words).count(), 1.0)


def known(number: str) -> Callable[[Rows, Moment], Floats]:
    """The number itself, of a source with at most one row a user."""
    return lambda rows, _: rows.max(number)
