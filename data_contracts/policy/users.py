"""What the policy must know of users, as arrays: a block of rows of `user_state`, whatever it was read from.

Sentinels mean "unknown", as in the snapshot's `user_state`: birth_year 0, region -1, income_band -1, employment "",
score_band 0, arrears_days -1.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import IntFlag
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_contracts.vocabulary import Channel, Employment


class Consent(IntFlag):
    """Bits of `consents`. KNOWN is no consent: it marks a customer, even one of whom every attribute is null."""

    MOBILE = 1
    WEB = 2
    CRM = 4
    PROFILING = 8
    KNOWN = 16


CHANNEL_CONSENT = {Channel.MOBILE: Consent.MOBILE, Channel.WEB: Consent.WEB, Channel.CRM: Consent.CRM}

# 0 is "unknown"; the rest in the vocabulary's order.
EMPLOYMENT_CODES = {"": 0} | {word.value: code for code, word in enumerate(Employment, start=1)}


def employment_codes(words: Iterable[str]) -> NDArray[np.int8]:
    """Codes of employment words; a word outside the vocabulary is unknown."""
    return np.fromiter((EMPLOYMENT_CODES.get(word, 0) for word in words), dtype=np.int8)


def holdings_matrix(rows: ArrayLike, positions: ArrayLike, *, users: int, products: int) -> NDArray[np.bool_]:
    """Who holds what, [users, products], from pairs of user row and product position; negative positions are none."""
    row, position = np.asarray(rows, dtype=np.int64), np.asarray(positions, dtype=np.int64)
    held = np.zeros((users, products), dtype=np.bool_)
    is_product = position >= 0
    held[row[is_product], position[is_product]] = True
    return held


@dataclass(frozen=True)
class Users:
    """U users. `known` is false where policy data are missing: such a user gets only what is safe for anyone."""

    holdings: NDArray[np.bool_]  # [U, P], positions of the catalogue the policy was compiled from
    birth_year: NDArray[np.int16]
    region: NDArray[np.int16]
    income_band: NDArray[np.int8]
    employment: NDArray[np.int8]  # EMPLOYMENT_CODES
    score_band: NDArray[np.int8]
    arrears_days: NDArray[np.int16]
    consents: NDArray[np.uint8]  # Consent bits
    known: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.known)

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @classmethod
    def from_state(
        cls,
        *,
        holdings: ArrayLike,
        birth_year: ArrayLike,
        region: ArrayLike,
        income_band: ArrayLike,
        employment: ArrayLike,
        score_band: ArrayLike,
        arrears_days: ArrayLike,
        consents: ArrayLike,
    ) -> Self:
        """Users from the columns of `user_state`; a row that says nothing at all is an unknown user.

        So someone seen only in behaviour, never in the bank's customers, is unknown, though `user_state` has a row.
        """
        held, consent = np.asarray(holdings, np.bool_), np.asarray(consents, np.uint8)
        year, area = np.asarray(birth_year, np.int16), np.asarray(region, np.int16)
        income, work = np.asarray(income_band, np.int8), np.asarray(employment, np.int8)
        score, arrears = np.asarray(score_band, np.int8), np.asarray(arrears_days, np.int16)
        has_attribute = (year > 0) | (area >= 0) | (income >= 0) | (work > 0) | (score > 0) | (arrears >= 0)
        known = has_attribute | (consent > 0) | held.any(axis=1)
        return cls(held, year, area, income, work, score, arrears, consent, known)

    @classmethod
    def unknown(cls, users: int, *, products: int) -> Self:
        """Users of whom nothing is known, such as everyone while the database is away."""
        none = np.full(users, -1)
        zero = np.zeros(users)
        return cls.from_state(
            holdings=np.zeros((users, products), dtype=np.bool_),
            birth_year=zero,
            region=none,
            income_band=none,
            employment=zero,
            score_band=zero,
            arrears_days=none,
            consents=zero,
        )


def may_profile(users: Users) -> NDArray[np.bool_]:
    """Who may be given a personal list: a known user only with consent to profiling.

    An unknown one has no consents on record; whether lists were made for such users at all is the night's decision.
    """
    return np.asarray(~users.known | ((users.consents & Consent.PROFILING) != 0))
