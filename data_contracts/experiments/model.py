"""What an experiment is: its arms, whom it is about, when it runs and what it is judged by. Values and their files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_contracts.errors import InputError
from data_contracts.policy.users import Consent
from data_contracts.vocabulary import FeedbackEvent, Kind, Variant

SHIPPED = Path(__file__).parent
_NAME = r"^[a-z][a-z0-9_]*$"


class Metric(StrEnum):
    """What decides: the share of answers that were clicked, or of users who took something."""

    CTR = "ctr"
    CONVERSION = "conversion"


class Guardrail(StrEnum):
    """What must not rise: events a user, in the words of feedback."""

    COMPLAINTS = FeedbackEvent.COMPLAINED.value
    DISMISSALS = FeedbackEvent.DISMISSED.value
    OPT_OUTS = FeedbackEvent.OPTED_OUT.value


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(_Value):
    """`variant` None: whatever is answered without the experiment; such an arm is only logged."""

    share: float = Field(gt=0, le=1)
    variant: Variant | None = None


@dataclass(frozen=True)
class Traits:
    """What a snapshot's user_state says of a user, as far as experiments ask for it."""

    segment: int
    region: int
    consents: int


class Eligible(_Value):
    """Who may take part; an absent condition does not restrict. A user of whom nothing is known meets none."""

    segments: frozenset[int] | None = None
    regions: frozenset[int] | None = None
    profiled: bool = Field(False, description="only who agreed to profiling")

    def admits(self, traits: Traits | None) -> bool:
        """`traits` None: the user could not be looked up."""
        if self.segments is None and self.regions is None and not self.profiled:
            return True
        return (
            traits is not None
            and (self.segments is None or traits.segment in self.segments)
            and (self.regions is None or traits.region in self.regions)
            and (not self.profiled or traits.consents & Consent.PROFILING != 0)
        )


class Experiment(_Value):
    """Arms in their order, the first is the control. A new salt deals the users anew.

    Users are dealt twice: the layer's own hash decides whether they are in `traffic`, a slice of its users, and the
    experiment's which arm they get. So a user is in at most one experiment a layer, and layers are independent, since
    no two of them share a salt at a time.
    """

    name: str = Field(pattern=_NAME, max_length=64)
    salt: str = Field(min_length=1)
    layer: str = Field(pattern=_NAME)
    traffic: tuple[float, float] = Field((0.0, 1.0), description="slice of the layer's users: from, to")
    kinds: frozenset[Kind] = Field(frozenset(Kind), min_length=1, description="lists that its arms' variants are of")
    arms: dict[str, Arm] = Field(min_length=2)
    eligible: Eligible = Eligible()
    start: date
    end: date = Field(description="first day on which it runs no longer, in the bank's time zone")
    metric: Metric = Metric.CONVERSION
    guardrails: tuple[Guardrail, ...] = tuple(Guardrail)
    enabled: bool = True

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if abs(sum(arm.share for arm in self.arms.values()) - 1) > 1e-9:
            raise ValueError("arms: their shares must add up to 1")
        if not 0 <= self.traffic[0] < self.traffic[1] <= 1:
            raise ValueError("traffic: needs 0 <= from < to <= 1")
        if self.end <= self.start:
            raise ValueError("end: lies before the first day has passed")
        return self

    @property
    def decides(self) -> bool:
        """Whether arms choose lists, rather than only being logged."""
        return any(arm.variant for arm in self.arms.values())

    @property
    def control(self) -> str:
        return next(iter(self.arms))

    def runs_on(self, day: date) -> bool:
        return self.enabled and self.start <= day < self.end


@dataclass(frozen=True)
class Trials:
    """What a service tries out: experiments, and the share of answers of which two neighbours change places."""

    experiments: Sequence[Experiment] = ()
    exploration: float = 0.0


NO_TRIALS = Trials()


def running_on(experiments: Iterable[Experiment], day: date) -> tuple[Experiment, ...]:
    return tuple(one for one in experiments if one.runs_on(day))


def experiments_in(folder: Path | None) -> Sequence[Experiment]:
    """By name; None for those that ship. Raises InputError naming file and field, also where files contradict."""
    folder = folder or SHIPPED
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder of experiments")
    found = {path: _experiment(path) for path in sorted(folder.glob("*.yaml"))}
    for (_, earlier), (path, one) in combinations(found.items(), 2):
        why = _contradiction(one, earlier)
        if why:
            raise InputError(f"{path.name}: {why}")
    return sorted(found.values(), key=lambda one: one.name)


def _experiment(path: Path) -> Experiment:
    try:
        content: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Experiment.model_validate(content)
    except yaml.YAMLError as error:
        raise InputError(f"{path.name}: is no YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{path.name}: {f'{where}: ' if where else ''}{what}") from error


def _contradiction(one: Experiment, other: Experiment) -> str:
    if one.name == other.name:
        return f"name: {other.name} is the name of two experiments"
    together = one.enabled and other.enabled and one.start < other.end and other.start < one.end
    if not together:
        return ""
    if one.layer == other.layer:
        overlap = one.traffic[0] < other.traffic[1] and other.traffic[0] < one.traffic[1]
        return f"traffic: overlaps with that of {other.name} in layer {one.layer}" if overlap else ""
    if one.decides and other.decides and one.kinds & other.kinds:
        return f"kinds: {other.name} of layer {other.layer} chooses the same lists: put both into one layer"
    if one.salt == other.salt:
        return f"salt: is that of {other.name} of layer {other.layer}, so that their arms would be the same users"
    return ""
