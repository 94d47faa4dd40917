"""The rule of promotion: `data_contracts/promotion.yaml` asked of a comparison, or of a model alone. Pure."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import numpy as np
import yaml

import data_contracts
from data_contracts.errors import InputError
from data_contracts.gate import PROMOTION, asked
from data_contracts.manifest import GateCheck, GateVerdict
from spark_jobs.lifecycle.fold import Comparison

_PROHIBITED = Path(data_contracts.__file__).parent / "prohibited_features.yaml"


def judge_challenger(compared: Comparison, features: Sequence[str]) -> GateVerdict:
    """Whether the challenger takes over, with the evidence of each rule. `features`: what it was trained on."""
    gain, families = compared.gain, compared.families
    worst = min(families, key=lambda name: families[name], default="")
    between = f"{gain.low:+.4f} to {gain.high:+.4f}, mean {gain.value:+.4f}, over {compared.users} users"
    told = {
        "gain": (gain.low, f"log loss saved, as a share of the champion's: {between}"),
        "family_gain": (families.get(worst, 0.0), f"worst family: {worst or 'none has enough cases'}"),
    }
    of_both = (asked(name, value, why, rules=PROMOTION) for name, (value, why) in told.items())
    alone = judge_alone(compared.positives, compared.calibration, features)
    return GateVerdict.of((*of_both, *alone.checks))


def judge_alone(positives: int, calibration: Mapping[str, float], features: Sequence[str]) -> GateVerdict:
    """What can be asked of a model without a champion beside it. The first two are those of a `Comparison`."""
    off = max(calibration, key=lambda name: abs(np.log(calibration[name])), default="")
    distance = abs(float(np.log(calibration[off]))) if off else 0.0
    farthest = f"|ln(predicted / observed)|, farthest off: {off or 'none has enough cases'}"
    return GateVerdict.of(
        (
            enough_cases(positives, "positive cases of the newest fold"),
            asked("calibration", distance, farthest, rules=PROMOTION),
            none_prohibited(features),
        )
    )


def enough_cases(positives: int, told: str) -> GateCheck:
    """told: what the positive cases are, in words."""
    return asked("enough_cases", float(positives), told, rules=PROMOTION)


def none_prohibited(features: Sequence[str]) -> GateCheck:
    """Names those that no model may use."""
    banned = prohibited(features)
    return asked("prohibited_features", float(len(banned)), ", ".join(banned) or "none", rules=PROMOTION)


def prohibited(features: Sequence[str]) -> list[str]:
    """Those that no model may use."""
    return [name for name in features if any(fnmatchcase(name, pattern) for pattern in _patterns())]


def require_allowed(features: Sequence[str]) -> None:
    """Raises InputError naming a feature that no model may use: nothing is trained on it."""
    if banned := prohibited(features):
        raise InputError(
            f"{', '.join(banned)}: prohibited by data_contracts/{_PROHIBITED.name}: take it out of the features"
        )


@cache
def _patterns() -> tuple[str, ...]:
    return tuple(yaml.safe_load(_PROHIBITED.read_text(encoding="utf-8")))
