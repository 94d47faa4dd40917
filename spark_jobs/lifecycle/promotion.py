"""The rule of promotion: `data_contracts/promotion.yaml` asked of a comparison. Pure."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import numpy as np
import yaml

import data_contracts
from data_contracts.errors import InputError
from data_contracts.gate import PROMOTION, asked
from data_contracts.manifest import GateVerdict
from spark_jobs.lifecycle.fold import Comparison

_PROHIBITED = Path(data_contracts.__file__).parent / "prohibited_features.yaml"


def judge_challenger(compared: Comparison, features: Sequence[str]) -> GateVerdict:
    """Whether the challenger takes over, with the evidence of each rule. `features`: what it was trained on."""
    gain, families, calibration = compared.gain, compared.families, compared.calibration
    worst = min(families, key=lambda name: families[name], default="")
    off = max(calibration, key=lambda name: abs(np.log(calibration[name])), default="")
    banned = prohibited(features)
    between = f"{gain.low:+.4f} to {gain.high:+.4f}, mean {gain.value:+.4f}, over {compared.users} users"
    told = {
        "enough_cases": (float(compared.positives), "positive cases of the newest fold"),
        "gain": (gain.low, f"log loss saved, as a share of the champion's: {between}"),
        "family_gain": (families.get(worst, 0.0), f"worst family: {worst or 'none has enough cases'}"),
        "calibration": (
            abs(float(np.log(calibration[off]))) if off else 0.0,
            f"|ln(predicted / observed)|, farthest off: {off or 'none has enough cases'}",
        ),
        "prohibited_features": (float(len(banned)), ", ".join(banned) or "none"),
    }
    return GateVerdict.of(asked(name, value, why, rules=PROMOTION) for name, (value, why) in told.items())


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
