"""Questions and limits of the publish gate (`gate.yaml`) and of promotions (`promotion.yaml`), each with its reason."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from data_contracts.errors import InputError
from data_contracts.manifest import GateCheck

RULES = Path(__file__).parent / "gate.yaml"
PROMOTION = Path(__file__).parent / "promotion.yaml"


class GateRule(BaseModel):
    """A limit that a value must reach (`at_least`) or keep to (`at_most`), and why it lies there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_least: float | None = None
    at_most: float | None = None
    overridable: bool = True
    reason: str

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("needs either at_least or at_most")
        return self

    def holds(self, value: float) -> bool:
        """Not for what is no number."""
        return value >= self.at_least if self.at_least is not None else value <= (self.at_most or 0.0)


@cache
def gate_rules(path: Path = RULES) -> Mapping[str, GateRule]:
    """By name. Raises InputError naming the entry that is wrong."""
    rules = {}
    for name, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        try:
            rules[name] = GateRule.model_validate(entry)
        except ValidationError as error:
            raise InputError(f"{path.name}: {name}: {error.errors()[0]['msg']}") from error
    return rules


def asked(name: str, value: float, told: str, *, rules: Path = RULES) -> GateCheck:
    """The verdict of one rule on what was measured; told: what the value is, in words."""
    rule = gate_rules(rules)[name]
    limit = rule.at_least if rule.at_least is not None else rule.at_most
    return GateCheck(name=name, passed=rule.holds(value), value=value, limit=limit, why=told)
