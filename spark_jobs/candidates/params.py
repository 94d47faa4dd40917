"""Sizes of the candidate sources, apart from the sources: commands read them where nothing is there to train with."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RetrievalParams(BaseModel):
    """Hyperparameters of all sources."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    als_factors: int = Field(16, ge=1)
    als_regularization: float = Field(10.0, gt=0)
    als_alpha: float = Field(5.0, gt=0)
    als_iterations: int = Field(10, ge=1)
    als_min_users: int = Field(3, ge=1, description="users an item needs before ALS may propose it")
    neighbours: int = Field(50, ge=1, description="neighbours kept per item")
    popularity_exponent: float = Field(0.2, ge=0, le=1, description="how much an item's own popularity is discounted")
    activity_exponent: float = Field(0.0, ge=0, le=1, description="how much less a user of many items says of two")
    neighbours_of: Literal["met", "proposed"] = Field("met", description="whose neighbours are kept and count")
    neighbour_exponent: float = Field(0.0, ge=0, le=1, description="how much an item's neighbours share one vote")
    neighbours_centred: bool = Field(False, description="a met item counts as one less its share of users")
    recency_half_life: float = Field(24.0, gt=0, description="hours after which a history item counts half as a seed")
    popular: int = Field(300, ge=1, description="length of the popular lists")
    popular_half_life: float = Field(6.0, gt=0, description="hours after which an event counts half for popularity")
    segment_users: int = Field(500, ge=1, description="users a segment needs before it has a list or vector of its own")
    content_l2: float = Field(1.0, gt=0, description="ridge from embeddings to factors, as a share of their variance")
    content_users: float = Field(1.0, gt=0, description="how many users an item's content counts as, beside real ones")
