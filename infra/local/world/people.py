"""The people of a world: the hidden causes of what they do, and what the bank knows of them.

One array a fact, all of one length, in ascending order of user_id. What the bank does not know is written as -1
(0 for birth year and score band).
"""

from dataclasses import dataclass

import numpy as np

from data_contracts.vocabulary import Employment
from infra.local.world.arrays import Bools, Bytes, Doubles, Floats, Ints, SmallInts, floats, ints
from infra.local.world.parameters import CONSENT_CHANNELS, Parameters
from infra.local.world.plan import Plan

EMPLOYMENTS = tuple(Employment)
OPERATING_SYSTEMS = ("android", "ios", "other")
_INCOME_QUANTILES = (0.2, 0.45, 0.7, 0.9)
_SCORE_QUANTILES = (0.25, 0.55, 0.78, 0.92)


@dataclass(frozen=True)
class People:
    """Everyone. `taste` (n, tastes) is standardised, `taste_cdf` the running sum of topic probabilities."""

    user_id: Ints
    customer: Bools
    in_tecd: Bools
    joined: SmallInts
    stage: Bytes
    taste: Floats
    taste_cdf: Floats
    style: Bytes
    income: Floats
    thrift: Floats
    birth_year: SmallInts
    region: SmallInts
    income_band: Bytes
    employment: Bytes
    score_band: Bytes
    true_score: Bytes
    credit_limit: Doubles
    arrears_from: SmallInts
    arrears_to: SmallInts
    consents: Bools
    profiling: Bools
    os: Bytes
    habit: Floats  # (n, domains): how much more active than the average, in the order of the activities

    def __len__(self) -> int:
        """How many there are."""
        return len(self.user_id)

    def block(self, start: int, stop: int) -> "People":
        return People(**{name: values[start:stop] for name, values in vars(self).items()})

    def arrears_days(self, day: int) -> SmallInts:
        """Days in arrears as seen at the start of a day."""
        late = (self.arrears_from < day) & (day <= self.arrears_to)
        return np.where(late, day - self.arrears_from, 0).astype(np.int16)


def draw_people(plan: Plan, params: Parameters) -> People:
    rng = plan.rng("people")
    n = plan.users
    user_id = np.cumsum(rng.integers(1, 60, n))
    customer = rng.random(n) >= params.people.not_customers
    stage = rng.choice(len(params.stages), n, p=[stage.share for stage in params.stages.values()]).astype(np.int8)
    stages = tuple(params.stages.values())
    income = np.array([s.income for s in stages])[stage] + params.people.income_spread * rng.standard_normal(n)
    thrift = rng.standard_normal(n)
    taste = _tastes(rng, stage, params)
    age = _ages(rng, stage, params)
    unknown = {name: rng.random(n) < share for name, share in params.people.unknown.items()}
    arrears_from, arrears_to = _arrears(rng, plan, params)
    employment = _employment(rng, stage, params)
    true_score = _score_bands(0.8 * income + 0.3 * thrift - 1.2 * (arrears_to > arrears_from) + rng.standard_normal(n))
    bands = np.searchsorted(np.quantile(income, _INCOME_QUANTILES), income).astype(np.int8)
    return People(
        user_id=user_id.astype(np.int64),
        customer=customer,
        in_tecd=~customer | (rng.random(n) >= params.people.not_in_tecd),
        joined=_joined(rng, plan, params),
        stage=stage,
        taste=taste,
        taste_cdf=_topic_cdf(taste, params),
        style=rng.integers(0, params.behaviour.clusters, taste.shape, dtype=np.int8),
        income=income.astype(np.float32),
        thrift=thrift.astype(np.float32),
        birth_year=np.where(unknown["birth_year"], 0, plan.last_date.year - age).astype(np.int16),
        region=np.where(unknown["region"], -1, np.floor(91 * rng.random(n) ** 1.3)).astype(np.int16),
        income_band=np.where(unknown["income_band"], -1, bands).astype(np.int8),
        employment=np.where(unknown["employment"], -1, employment).astype(np.int8),
        score_band=np.where(unknown["score_band"], 0, true_score).astype(np.int8),
        true_score=true_score,
        credit_limit=np.round(np.exp(11.6 + 0.6 * income - 0.25 * true_score), -3),
        arrears_from=arrears_from,
        arrears_to=arrears_to,
        consents=np.column_stack([rng.random(n) < params.people.consents[name] for name in CONSENT_CHANNELS]),
        profiling=rng.random(n) < params.people.consents["profiling"],
        os=rng.choice(3, n, p=[0.72, 0.14, 0.14]).astype(np.int8),
        habit=_habits(rng, n, params),
    )


def _tastes(rng: np.random.Generator, stage: Bytes, params: Parameters) -> Floats:
    means = np.array([[s.taste.get(name, 0.0) for name in params.tastes] for s in params.stages.values()])
    spread = params.people.taste_spread
    taste = means[stage] + spread * rng.standard_normal((len(stage), len(params.tastes)))
    return floats(taste)


def _topic_cdf(taste: Floats, params: Parameters) -> Floats:
    weights = np.exp(params.people.taste_sharpness * taste)
    cdf = np.cumsum(weights, axis=1)
    return floats(cdf / cdf[:, -1:])


def _ages(rng: np.random.Generator, stage: Bytes, params: Parameters) -> Ints:
    bounds = np.array([s.age for s in params.stages.values()])[stage]
    return rng.integers(bounds[:, 0], bounds[:, 1] + 1)


def _employment(rng: np.random.Generator, stage: Bytes, params: Parameters) -> Ints:
    shares = np.array([[s.employment.get(kind, 0.0) for kind in EMPLOYMENTS] for s in params.stages.values()])
    cdf = np.cumsum(shares, axis=1)[stage]
    return ints(np.minimum((rng.random(len(stage))[:, None] > cdf).sum(axis=1), len(EMPLOYMENTS) - 1))


def _score_bands(goodness: Doubles) -> Bytes:
    bounds = np.quantile(-goodness, _SCORE_QUANTILES)
    return (1 + np.searchsorted(bounds, -goodness)).astype(np.int8)


def _arrears(rng: np.random.Generator, plan: Plan, params: Parameters) -> tuple[SmallInts, SmallInts]:
    """One spell for a few, none (from = to) for the others."""
    n = plan.users
    late = rng.random(n) < params.people.arrears_share
    start = rng.integers(-60, plan.days + 1, n)
    length = np.ceil(rng.exponential(params.people.arrears_days, n))
    return start.astype(np.int16), np.where(late, start + length, start).astype(np.int16)


def _joined(rng: np.random.Generator, plan: Plan, params: Parameters) -> SmallInts:
    """Day of becoming a customer; negative before the world began."""
    n = plan.users
    before = -np.minimum(1 + np.ceil(rng.exponential(1200, n)), 6000)
    during = rng.integers(0, plan.days, n)
    return np.where(rng.random(n) < params.people.joined_in_window, during, before).astype(np.int16)


def _habits(rng: np.random.Generator, n: int, params: Parameters) -> Floats:
    energy = np.exp(0.5 * rng.standard_normal(n) - 0.125)
    own = [rng.gamma(activity.spread, 1 / activity.spread, n) for activity in params.activity.values()]
    return floats(energy[:, None] * np.column_stack(own))
