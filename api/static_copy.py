"""The copy on disk of what the static tier answers from: popular lists, catalogue, rules and blocks.

Written at each move of a pointer, read at start-up, so that a service that never saw the database answers from the
last good lists. A first, tiny copy ships with the project.
"""

import os
from pathlib import Path
from typing import Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from api.serving import Snapshot
from api.store import ITEMS, FallbackLists, Lists, Ranked, RuleSet
from data_contracts.catalogue import Catalogue, Reasons, Rules
from data_contracts.errors import InputError
from data_contracts.vocabulary import Kind

SHIPPED = Path(__file__).parent / "static_fallback.json"


class CopiedItem(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    item_id: str
    kind: Kind
    family: str
    name_en: str
    name_ru: str
    score: int
    reasons: int


class StaticCopy(BaseModel):
    """`items`: the popular products, best first, then the popular offers; each once, since it is numbered here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot_id: str
    blocks: tuple[str, ...]
    items: tuple[CopiedItem, ...]
    catalogue: Catalogue
    rules: Rules
    reasons: Reasons

    @classmethod
    def of(cls, snapshot: Snapshot, rule_set: RuleSet, blocks: frozenset[str]) -> Self:
        popular = snapshot.fallback.popular
        items: dict[int, CopiedItem] = {}
        for ranked in (popular.products, popular.offers):
            for code, score, reasons in zip(ranked.items, ranked.scores, ranked.reasons, strict=True):
                told = snapshot.items.slice(code, 1).to_pylist()[0]
                items.setdefault(code, CopiedItem(**told, score=score, reasons=reasons))
        return cls(
            snapshot_id=snapshot.snapshot_id,
            blocks=tuple(sorted(blocks)),
            items=tuple(items.values()),
            catalogue=rule_set.catalogue,
            rules=rule_set.rules,
            reasons=rule_set.reasons,
        )

    @property
    def snapshot(self) -> Snapshot:
        """The part of the snapshot that was copied; items are numbered anew."""
        rows = [item.model_dump(mode="json", include=set(ITEMS.names)) for item in self.items]
        products, offers = (
            Ranked(
                items=[code for code, item in enumerate(self.items) if item.kind is kind],
                scores=[item.score for item in self.items if item.kind is kind],
                reasons=[item.reasons for item in self.items if item.kind is kind],
            )
            for kind in (Kind.PRODUCT, Kind.OFFER)
        )
        return Snapshot(
            snapshot_id=self.snapshot_id,
            items=pa.Table.from_pylist(rows, schema=ITEMS),
            fallback=FallbackLists(popular=Lists(products, offers)),
        )

    @property
    def rule_set(self) -> RuleSet:
        return RuleSet(self.catalogue, self.rules, self.reasons)

    def save(self, path: Path) -> None:
        """Replace the file whole; several services may share it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(self.model_dump_json(), encoding="utf-8")
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises InputError when the file is missing or not such a copy."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise InputError(f"{path} is not a saved copy of popular lists: {str(error).splitlines()[0]}") from error
