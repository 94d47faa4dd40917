"""The models of `parameters.yaml`, the one file that says how the sample world's people behave."""

from functools import cache
from pathlib import Path

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field

from data_contracts.vocabulary import Channel, Employment, Family
from infra.local.world.arrays import Doubles, Floats, doubles


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Effects(_Value):
    """Log-odds added for a user's hidden causes."""

    stage: dict[str, float] = {}
    taste: dict[str, float] = {}
    income: float = 0.0
    thrift: float = 0.0


class ProductAppeal(Effects):
    base: float


class Taste(_Value):
    categories: tuple[str, ...]
    mcc: tuple[str, ...]


class Stage(_Value):
    share: float
    age: tuple[int, int]
    income: float
    employment: dict[Employment, float]
    taste: dict[str, float] = {}


class People(_Value):
    taste_spread: float
    taste_sharpness: float
    income_spread: float
    not_customers: float
    not_in_tecd: float
    joined_in_window: float
    consents: dict[str, float]
    unknown: dict[str, float]
    arrears_share: float
    arrears_days: float


class Process(_Value):
    decide: float
    first_product: str
    review_days: int
    campaign_days: int


class FamilyBehaviour(_Value):
    intent: float
    days: float
    apply: float
    idle: float
    approve: float
    approve_loss: float
    close: float
    held: float
    topics: tuple[str, ...]
    words: tuple[str, ...]
    screens: tuple[str, ...]
    boost: Effects


class HoldingEffects(_Value):
    complement: float
    upgrade: float
    family_intent: float


class Past(_Value):
    first_product: float
    days: float
    given_up: float


class Sum(_Value):
    """A log-normal sum of roubles."""

    log: float
    income: float
    thrift: float = 0.0
    spread: float

    def draw(self, income: Floats, thrift: Floats, noise: Floats | Doubles) -> Doubles:
        """Roubles to the kopeck; `noise` is standard normal."""
        logarithm = self.log + self.income * income + self.thrift * thrift + self.spread * noise
        return np.round(np.exp(doubles(logarithm)), 2)


class Money(_Value):
    everyday: float
    nameless: float
    pay_days: dict[Employment, tuple[int, int]]
    spent: Sum
    earned: Sum
    paid_to_partners: Sum
    turnover: Sum
    balance: Sum


class App(_Value):
    screens: tuple[str, ...]
    wanting: tuple[float, float]
    idling: tuple[float, float]
    own_wish: float


class Campaigns(_Value):
    contact: float
    hold_out: float
    wake: float
    click: float
    click_in_intent: float
    dismiss: float


class Activity(_Value):
    active: float
    more: float
    spread: float


class Behaviour(_Value):
    weekend: dict[str, float]
    hours: tuple[float, ...] = Field(min_length=24, max_length=24)
    intent_topic: float
    intent_app: float
    intent_view: float
    favourite: float
    favourites: int
    favourite_days: int
    cluster: float
    clusters: int
    zipf: float
    repeat: float
    offers_popular: float
    like: float


class Response(_Value):
    click: float
    taste: float
    favourite: float
    cluster: float
    offers_click: float
    out: float
    cart: float
    order: float


class Warts(_Value):
    exact_duplicates: float
    no_os: float
    no_subcategory: float
    no_payment_brand: float
    no_receipt_brand: float
    no_transaction: float
    no_region: float
    duplicate_brands: float
    null_brand_embedding: float
    empty_brand_embedding: float
    null_embedding: float
    redelivered: float


class Parameters(_Value):
    """All of it. Orders of stages, tastes and families here are the orders of every array in the generator."""

    tastes: dict[str, Taste]
    everyday_mcc: tuple[str, ...]
    stages: dict[str, Stage]
    people: People
    process: Process
    families: dict[Family, FamilyBehaviour]
    holdings: HoldingEffects
    products: dict[str, ProductAppeal]
    past: Past
    campaigns: Campaigns
    app: App
    money: Money
    activity: dict[str, Activity]
    behaviour: Behaviour
    response: Response
    warts: Warts
    sizes: dict[str, tuple[int, int, int]]

    @property
    def taste_names(self) -> tuple[str, ...]:
        return tuple(self.tastes)

    @property
    def stage_names(self) -> tuple[str, ...]:
        return tuple(self.stages)

    @property
    def family_names(self) -> tuple[Family, ...]:
        return tuple(self.families)

    def size(self, what: str, users: int) -> int:
        """How many of something a world of so many users has."""
        least, users_per_one, most = self.sizes[what]
        return min(most, max(least, users // users_per_one))


CONSENT_CHANNELS = (Channel.MOBILE, Channel.WEB, Channel.CRM)


@cache
def parameters() -> Parameters:
    path = Path(__file__).parent / "parameters.yaml"
    return Parameters.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
