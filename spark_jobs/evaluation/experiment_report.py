"""An experiment's log as its report: users and rates by arm, differences, guardrails, validity, verdict. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_contracts.columns import EVENT_TIME, EVENT_TYPE, USER_ID
from data_contracts.experiments import Experiment
from data_contracts.vocabulary import FeedbackEvent
from spark_jobs.evaluation.experiment import ArmSums, Comparison, compare, mean_difference, mismatch_p, verdict
from spark_jobs.evaluation.intervals import Estimate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Report:
    """comparisons: by arm, the control with itself first; guardrails: by arm but the control.

    left_out: users who were logged in more than one arm; unknown: those who were in one that the experiment has not,
    such as an arm since renamed. Neither count in any arm. misdealt: those in another than the hash gives. of_variant:
    by arm that chooses lists, the share of its answers that came from them; the rest had none, so the arms differ less.
    """

    experiment: Experiment
    comparisons: Mapping[str, Comparison]
    guardrails: Mapping[str, Mapping[str, Estimate]]
    p_mismatch: float
    left_out: int
    unknown: int
    misdealt: int
    of_variant: Mapping[str, float]
    verdict: str

    def as_json(self) -> dict[str, Any]:
        control = self.experiment.control
        return {
            "experiment": self.experiment.name,
            "metric": self.experiment.metric.value,
            "control": control,
            "arms": {arm: _plain(one, is_control=arm == control) for arm, one in self.comparisons.items()},
            "guardrails": {
                arm: {name: one.as_json() for name, one in found.items()} for arm, found in self.guardrails.items()
            },
            "sample_ratio_p": self.p_mismatch,
            "users_in_two_arms": self.left_out,
            "users_in_unknown_arms": self.unknown,
            "users_misdealt": self.misdealt,
            "answers_of_variant": dict(self.of_variant),
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class _Users:
    """Of N users: their arm's place, whether it is the experiment's, one, and the hash's, and what they saw and did,
    each (N,).
    """

    arm: NDArray[np.int64]
    is_known: NDArray[np.bool_]
    is_one: NDArray[np.bool_]
    is_dealt: NDArray[np.bool_]
    sums: ArmSums
    events: Mapping[str, Floats]


def experiment_report(experiment: Experiment, exposures: pa.Table, feedback: pa.Table, *, start: datetime) -> Report:
    """exposures: columns user_id, rec_id, kind, variant, arm, dealt (from 1).

    feedback: columns user_id, rec_id, event_type, event_time.
    Feedback before `start` is what CUPED takes off. Raises InputError where an arm has fewer than two users.
    """
    users = _users(experiment, exposures, feedback, start=start)
    arms = list(experiment.arms)
    sides = {name: users.is_known & users.is_one & (users.arm == place) for place, name in enumerate(arms)}
    control = _of(users.sums, sides[experiment.control])
    comparisons = {name: compare(_of(users.sums, side), control) for name, side in sides.items()}
    others = {name: one for name, one in comparisons.items() if name != experiment.control}
    guardrails = {
        name: {
            rail.value: mean_difference(users.events[rail][sides[name]], users.events[rail][sides[experiment.control]])
            for rail in experiment.guardrails
        }
        for name in others
    }
    p = mismatch_p([one.users for one in comparisons.values()], [arm.share for arm in experiment.arms.values()])
    return Report(
        experiment=experiment,
        comparisons=comparisons,
        guardrails=guardrails,
        p_mismatch=p,
        left_out=int((users.is_known & ~users.is_one).sum()),
        unknown=int((~users.is_known).sum()),
        misdealt=int((users.is_known & ~users.is_dealt).sum()),
        of_variant=dict(_of_variant(experiment, exposures)),
        verdict=verdict(others, guardrails, p_mismatch=p, metric=experiment.metric),
    )


def _of_variant(experiment: Experiment, exposures: pa.Table) -> Iterator[tuple[str, float]]:
    """Of answers with items of one kind, which the experiment is about."""
    is_about = pc.is_in(exposures["kind"], pa.array([kind.value for kind in experiment.kinds]))
    asked = exposures.filter(is_about).select(["arm", "variant"])
    for name, arm in experiment.arms.items():
        shown = asked.filter(pc.equal(asked["arm"], name))
        if arm.variant is not None and shown.num_rows:
            yield name, float(pc.mean(pc.equal(shown["variant"], arm.variant.value)).as_py())


def _users(experiment: Experiment, exposures: pa.Table, feedback: pa.Table, *, start: datetime) -> _Users:
    ids, row_user = np.unique(exposures[USER_ID].to_numpy().astype(np.int64), return_inverse=True)
    names = np.array(list(experiment.arms), object)
    is_arm = exposures["arm"].to_numpy()[:, None] == names
    arm = is_arm.argmax(axis=1)
    dealt = exposures["dealt"].to_numpy().astype(np.int64) - 1
    first = np.full(len(ids), -1)
    first[row_user] = arm

    def by_user(values: NDArray[Any]) -> Floats:
        return np.bincount(row_user, values, minlength=len(ids)).astype(np.float64)

    kinds, at = feedback[EVENT_TYPE].to_numpy(), feedback[EVENT_TIME].to_numpy()
    known = np.isin(feedback[USER_ID].to_numpy().astype(np.int64), ids)
    row = np.searchsorted(ids, feedback[USER_ID].to_numpy().astype(np.int64))
    is_after = at >= np.datetime64(start.astimezone(UTC).replace(tzinfo=None))

    def events(kind: str, when: NDArray[np.bool_]) -> Floats:
        chosen = known & when & (kinds == kind)
        return np.bincount(row[chosen], minlength=len(ids)).astype(np.float64)

    clicked = feedback["rec_id"].to_numpy()[is_after & (kinds == FeedbackEvent.CLICKED.value)]
    taken = FeedbackEvent.PURCHASED.value
    sums = ArmSums(
        exposures=by_user(np.ones(len(row_user))),
        clicks=by_user(np.isin(exposures["rec_id"].to_numpy(), clicked)),
        conversions=np.minimum(events(taken, is_after), 1.0),
        before=events(taken, ~is_after),
    )
    rails = {rail.value: events(rail.value, is_after) for rail in experiment.guardrails}
    is_known = by_user(~is_arm.any(axis=1)) == 0
    is_one = by_user(arm != first[row_user]) == 0
    return _Users(first, is_known, is_one, by_user(arm != dealt) == 0, sums, rails)


def _of(sums: ArmSums, side: NDArray[np.bool_]) -> ArmSums:
    return ArmSums(*(getattr(sums, part.name)[side] for part in fields(ArmSums)))


def _plain(one: Comparison, *, is_control: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "users": one.users,
        "exposures": one.exposures,
        "ctr": one.ctr.as_json(),
        "conversion": one.conversion.as_json(),
    }
    differences = ("ctr_difference", "conversion_difference", "conversion_difference_cuped")
    return told | ({} if is_control else {name: getattr(one, name).as_json() for name in differences})
