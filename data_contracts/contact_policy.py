"""How often and when somebody may be contacted: `contact_policy.yaml` as values. What they mean: `contacts`."""

from datetime import time, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_contracts.errors import InputError
from data_contracts.overlay.kinds import CAMPAIGNS, longest_window
from data_contracts.vocabulary import CampaignEvent, Channel

_FILE = Path(__file__).with_name("contact_policy.yaml")
Days = Annotated[float, Field(gt=0, le=3_650)]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (LookupError, OSError, ValueError) as error:
        raise ValueError(f"there is no time zone {name}") from error
    return name


# Hours east of UTC, or a name such as Europe/Kaliningrad where clocks are put forward and back.
Zone = Annotated[float, Field(ge=-12, le=14)] | Annotated[str, AfterValidator(_known_zone)]
Per = Literal["user", "product"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class QuietHours(_Value):
    """`start` equal to `end`: never quiet."""

    start: time
    end: time
    utc_offset: Zone
    regions: dict[int, Zone] = {}


class Cap(_Value):
    per: Per
    channel: Channel | None = None
    most: int = Field(ge=1)
    days: Days


class CoolDown(_Value):
    after: Literal[CampaignEvent.DISMISSED, CampaignEvent.COMPLAINED]
    per: Per
    days: Days


class ContactPolicy(_Value):
    sending: tuple[Channel, ...]
    quiet_hours: QuietHours
    caps: tuple[Cap, ...] = ()
    cool_downs: tuple[CoolDown, ...] = ()
    control_days: Days
    exclusive: tuple[frozenset[str], ...] = ()

    @model_validator(mode="after")
    def _counts_what_is_kept(self) -> Self:
        needed = [
            *((CampaignEvent.SENT, cap.days) for cap in self.caps),
            *((one.after, one.days) for one in self.cool_downs),
            (CampaignEvent.HELD_OUT, self.control_days),
        ]
        for event, days in needed:
            kept = longest_window(CAMPAIGNS, event)
            if kept is not None and kept < timedelta(days=days):
                raise ValueError(f"{event.value} is asked for {days:g} days, and kept for {kept.days}")
        return self


@cache
def contact_policy(path: Path = _FILE) -> ContactPolicy:
    """Raises InputError naming the file and what is wrong in it."""
    try:
        return ContactPolicy.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise InputError(f"{path}: {error}") from error
