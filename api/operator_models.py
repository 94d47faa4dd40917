"""Shapes of what operators are shown: verdicts of the gate, moves of the pointer, stops, campaigns."""

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.manifest import GateCheck, TableCounts
from data_contracts.vocabulary import Channel, Family


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Me(_Answer):
    """Whom the token speaks for."""

    client: str
    scopes: list[str]
    channel: Channel | None = Field(description="the only one it may ask for; null: any")
    expires_at: datetime | None = Field(description="null where tokens are off")


class Step(_Answer):
    at: datetime
    step: str = Field(description="asked or approved")
    actor: str
    reason: str


class Check(GateCheck):
    overridable: bool = Field(description="whether two people may let it pass")


class Verdict(_Answer):
    snapshot_id: str
    as_of: date
    made_at: datetime
    state: str = Field(description="in ClickHouse: loading, loaded, verified, dropped; absent where it never was")
    is_current: bool = Field(description="whether this service answers from it now")
    passed: bool
    checks: list[Check] = Field(description="those that failed first")
    overrides: list[Step] = Field(description="who asked to let it pass, and who agreed; oldest first")
    tables: dict[str, TableCounts]


class Verdicts(_Answer):
    current: str | None
    verdicts: list[Verdict]


class PointerMove(_Answer):
    moved_at: datetime
    snapshot_id: str
    action: str
    actor: str
    why: str


class Moves(_Answer):
    moves: list[PointerMove] = Field(description="newest first")


class OverrideTold(_Answer):
    snapshot_id: str
    published: bool
    checks: list[str] = Field(description="that are overridden")


class Waiting(_Answer):
    """A change that somebody asked for and somebody else has to agree to, within a day."""

    item_id: str
    at: datetime
    actor: str
    reason: str


class BlockedItem(_Answer):
    item_id: str
    at: datetime
    actor: str
    why: str


class Blocks(_Answer):
    blocks: list[BlockedItem]
    waiting: list[Waiting] = Field(description="blocks that somebody asked to end")


class Reach(_Answer):
    """What the newest assignment that the campaign took part in says: users, roubles."""

    day: date
    snapshot_id: str
    audience: int = Field(description="users that may be asked")
    wanted_elsewhere: int = Field(description="of them, whom another campaign may ask too")
    held_out: int
    contacts: int
    budget_left: int
    value: float = Field(description="expected, roubles")


class Taken(_Answer):
    """A step that somebody took, when and why."""

    at: datetime
    actor: str
    reason: str


class CampaignInfo(_Answer):
    name: str
    state: str = Field(description="runs, to_come, over or off")
    product: str | None
    families: list[Family]
    channel: Channel
    start: date
    end: date = Field(description="first day on which it runs no longer")
    budget: int = Field(description="contacts over all its days")
    priority: float
    control_share: float
    message_en: str
    message_ru: str
    owner: str
    exclusive_with: list[str] = Field(description="campaigns of which a user gets only one")
    rivals: list[str] = Field(description="campaigns that run in the same channel on some of its days")
    reach: Reach | None = Field(description="null before it was ever assigned")
    document: str = Field(description="YAML that says all of it, to begin a proposal with")
    proposed: Taken | None = Field(None, description="by API, and approved; null: it comes from a file")
    approved: Taken | None = None


class Campaigns(_Answer):
    campaigns: list[CampaignInfo]


class Change(_Answer):
    field: str
    before: str | None = Field(description="null: not said before")
    after: str | None = Field(description="null: not said any more")


class ProposalInfo(_Answer):
    """A campaign, or the rules, that somebody proposed, as it would be beside what holds."""

    id: str
    name: str
    state: str = Field(description="waiting, approved, refused, replaced or expired")
    asked: Taken
    decided: Taken | None = Field(description="who approved or refused it, when and why")
    document: str
    changes: list[Change] = Field(description="against what holds now under this name; of one that waits")
    campaign: CampaignInfo | None = Field(
        description="with rivals and the reach it had so far; of a campaign that waits"
    )


class ServedRules(_Answer):
    version: str
    approved_at: datetime
    actor: str = Field(description="night: a delivery; else who proposed and who approved")
    document: str = Field(description="YAML that says all of them, to begin a proposal with")


class Proposals(_Answer):
    proposals: list[ProposalInfo] = Field(description="newest first")
