"""Rolling evaluation of product rankers: each fold trains anew on what its night would have known, and is then judged.

    A3 older   A2 newer   A1 test   as_of        a fold; the next one begins a horizon and gap earlier
The ranker learns from the two older windows. Labels of each as-of start `gap_hours` after it and end before the next
looks. Baselines are learned from the same past: `segment` is what the segment tier serves, `popular` everybody's rate.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from spark_jobs.candidates.strangers import Doubles, Profiles, stranger_rates
from spark_jobs.evaluation.metrics import Mask
from spark_jobs.evaluation.product_figures import Outcomes, ProductReport, joined, product_report
from spark_jobs.features.portraits import PROFILE
from spark_jobs.ranking.boosting import BoosterParams
from spark_jobs.ranking.kernel import F32
from spark_jobs.ranking.product_training import train_on
from spark_jobs.ranking.products import LabelledUsers, told_by
from spark_jobs.ranking.windows import LabelWindow, training_windows

# Users at whose number a segment's own rate and everybody's weigh the same.
SEGMENT_USERS = 200.0
_TENURE = "f_holdings_tenure"


@dataclass(frozen=True)
class SeenUsers:
    """Labelled users of one window, their segments int16 (n,), what they hold bool (n, p), and the names of their
    features and pair signals.
    """

    window: LabelWindow
    users: LabelledUsers
    segment: npt.NDArray[np.int16]
    held: npt.NDArray[np.bool_]
    feature_names: tuple[str, ...]
    pair_names: tuple[str, ...]


@dataclass(frozen=True)
class FoldReport:
    """What was learned from and judged on, and how it went; learned: by family, openings behind its calibration."""

    train: LabelWindow
    calibrate: LabelWindow
    test: LabelWindow
    report: ProductReport
    learned: Mapping[str, int]

    def as_json(self) -> dict[str, object]:
        as_ofs = {name: getattr(self, name).as_of.isoformat() for name in ("train", "calibrate", "test")}
        labels = {"labels_from": self.test.start.isoformat(), "labels_to": self.test.end.isoformat()}
        return {**as_ofs, **labels, "learned": dict(self.learned), **self.report.as_json()}


@dataclass(frozen=True)
class RollingReport:
    """folds: the newest first; together: the tests of all folds as one."""

    folds: tuple[FoldReport, ...]
    together: ProductReport

    def as_json(self) -> dict[str, object]:
        return {"folds": [fold.as_json() for fold in self.folds], "together": self.together.as_json()}


def rolling_windows(
    as_of: date, *, folds: int, horizon_days: int, gap_hours: int, timezone: str
) -> tuple[LabelWindow, ...]:
    """The windows that `folds` folds need, the newest first; fold n is (n + 2, n + 1, n)."""
    windows = []
    for _ in range(folds + 2):
        newest = training_windows(as_of, horizon_days=horizon_days, gap_hours=gap_hours, timezone=timezone).calibrate
        windows.append(newest)
        as_of = newest.as_of
    return tuple(windows)


def rolling_report(
    seen: Sequence[SeenUsers], *, k: int, booster: BoosterParams, seed: int, threads: int
) -> RollingReport:
    """Of users seen at consecutive windows, the newest first. Raises InputError where nothing was opened in one."""
    tests, reports = [], []
    for test, calibrate, train in zip(seen, seen[1:], seen[2:], strict=False):
        ranker = train_on(train, calibrate, params=booster, seed=seed, threads=threads)
        told = {"ranked": told_by(ranker, test.users, test.feature_names), **baselines(test, (calibrate, train))}
        tests.append((outcomes_of(test), told))
        report = product_report(*tests[-1], k=k)
        learned = {family: pair.cases for family, pair in ranker.calibrator.groups.items()}
        reports.append(FoldReport(train.window, calibrate.window, test.window, report, learned))
    together = {name: np.concatenate([told[name] for _, told in tests]) for name in tests[0][1]}
    return RollingReport(tuple(reports), product_report(joined([one for one, _ in tests]), together, k=k))


def baselines(test: SeenUsers, past: Sequence[SeenUsers]) -> dict[str, F32]:
    """Openings a horizon (n, p) by what knows no person: `segment`, as the night tells its segment tier from the last
    two windows, the lists of every segment baseline here; and `popular`, everybody's.
    """
    rates = learned_rates(test, past, teaches=lambda one: np.ones(len(one.segment), bool))
    by_name = {"segment": rates["blended"], "popular": rates["popular"]}
    return {name: by_segment[test.segment].astype(np.float32) for name, by_segment in by_name.items()}


def learned_rates(
    test: SeenUsers, past: Sequence[SeenUsers], *, teaches: Callable[[SeenUsers], Mask]
) -> dict[str, Doubles]:
    """[segments, products] by model, from what the users that teach did in the past, and who they are at the test.

    `blended` is what a night makes (`candidates.strangers`), `segment` the segment's own rate, drawn to everybody's
    where users are few, `popular` everybody's. All are of whoever is in a segment, eligible or not: the policy decides
    later.
    """
    size = 1 + max(int(one.segment.max(initial=0)) for one in (test, *past))
    openings, users = np.zeros((size, len(test.users.products.ids))), np.zeros(size)
    for one in past:
        mask = teaches(one)
        np.add.at(openings, one.segment[mask], one.users.labels[mask])
        users += np.bincount(one.segment[mask], minlength=size)
    everybody = (openings.sum(axis=0) + 0.5) / (users.sum() + 1.0)
    own = (openings + SEGMENT_USERS * everybody) / (users[:, None] + SEGMENT_USERS)
    likeness = _profiles(test, teaches(test), segments=size).likeness()
    popular = np.tile(everybody, (size, 1))
    return {"blended": stranger_rates(openings, users, likeness), "segment": own, "popular": popular}


def _profiles(seen: SeenUsers, chosen: Mask, *, segments: int) -> Profiles:
    """Of the chosen users."""
    columns = [seen.feature_names.index(name) for name in PROFILE if name in seen.feature_names]
    features = seen.users.features[chosen][:, columns].astype(np.float64)
    of_segment = np.eye(segments)[seen.segment[chosen]]
    everyone = np.ones((len(features), 1))
    mean = _means(everyone, features)[0]
    spread = np.sqrt(_means(everyone, (features - mean) ** 2)[0])
    return Profiles(_means(of_segment, features), _means(seen.held[chosen], features), mean, spread)


def _means(of: Doubles | Mask, features: Doubles) -> Doubles:
    """Means [g, f] of those of each group of whom a feature is known; of [users, g] and features [users, f]."""
    known = ~np.isnan(features)
    members = of.astype(np.float64).T
    counts = members @ known
    means: Doubles = np.where(counts > 0, members @ np.nan_to_num(features) / np.maximum(counts, 1), np.nan)
    return means


def outcomes_of(seen: SeenUsers) -> Outcomes:
    users = seen.users
    priors = users.products.features[:, -1].astype(np.float64)
    return Outcomes(
        user_ids=users.user_ids,
        eligible=users.eligible,
        opened=users.labels,
        segment=seen.segment,
        tenure=np.nan_to_num(users.features[:, seen.feature_names.index(_TENURE)].astype(np.float64)),
        families=users.products.families,
        values=users.products.values,
        share=1.0 / (1.0 + np.exp(-priors)),
    )
