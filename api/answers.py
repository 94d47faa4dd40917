"""Replies as answers, for REST and gRPC alike: names and reasons in the asked language, a signed id. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from api.layout import Question
from api.models import Locale
from api.recommend import Reply
from api.serving import NO_SCORE, Candidate, Serving
from data_contracts.catalogue import LocalText
from data_contracts.columns import ITEM_ID
from data_contracts.rec_id import RecId
from data_contracts.scores import dequantise
from data_contracts.vocabulary import Kind

Answer = dict[str, Any]

# Six significant digits: more than the storage keeps.
PROBABILITIES = [float(f"{p:.6g}") for p in dequantise(range(65_536)).tolist()]


@dataclass(frozen=True)
class Writer:
    """Writes answers of one service: its signing key and the bank's time zone."""

    key: bytes
    timezone: ZoneInfo

    def answer(self, question: Question, reply: Reply, *, locale: Locale, now: datetime) -> Answer:
        """The fields of `models.Recommendations`, as JSON has them."""
        serving = reply.serving
        rec_id = RecId(question.channel, serving.snapshot_id, serving.policy.hash, now)
        return {
            "rec_id": rec_id.signed(user_id=question.user_id, key=self.key),
            "user_id": str(question.user_id),
            "timestamp": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "snapshot_id": serving.snapshot_id or None,
            "snapshot_age_s": snapshot_age(serving, now=now, timezone=self.timezone),
            "tier": reply.tier,
            "variant": reply.variant,
            "experiment": _experiment(reply),
            "policy_hash": serving.policy.hash,
            "recommendations": [_item(serving, shown, locale) for shown in reply.shown],
        }


def snapshot_age(serving: Serving, *, now: datetime, timezone: ZoneInfo) -> int | None:
    """Seconds since the cut-off; 0 for a sample world that lies in the future."""
    cut_off = serving.snapshot.cut_off(timezone)
    return None if cut_off is None else max(0, int((now - cut_off).total_seconds()))


def probability(stored: int) -> float | None:
    return None if stored == NO_SCORE else PROBABILITIES[stored]


def _experiment(reply: Reply) -> Mapping[str, Any] | None:
    """The first of the user's: most ask of one list, which at most one decides. The exposure tells all."""
    return next(({"name": one.experiment, "arm": one.arm} for one in reply.assignments), None)


def _item(serving: Serving, shown: Candidate, locale: Locale) -> Mapping[str, Any]:
    item_id, name, family = (_product if shown.kind is Kind.PRODUCT else _offer)(serving, shown.index, locale)
    return {
        "product_id": item_id,
        "product_name": name,
        "family": family,
        "kind": shown.kind,
        "score": probability(shown.score),
        "tier": shown.tier,
        "reasons": _reasons(serving, shown.reasons, locale),
    }


def _product(serving: Serving, position: int, locale: Locale) -> tuple[str, str, str | None]:
    found = serving.told_products.get((position, locale))
    if found is None:
        product = serving.rule_set.catalogue.products[position]
        found = product.product_id, _text(product.name, locale), product.family
        serving.told_products[position, locale] = found
    return found


def _offer(serving: Serving, code: int, locale: Locale) -> tuple[str, str, str | None]:
    items = serving.snapshot.items
    item_id = items[ITEM_ID][code].as_py()
    # Partners' items often have no name.
    return item_id, items[f"name_{locale}"][code].as_py() or item_id, None


def _reasons(serving: Serving, packed: int, locale: Locale) -> Sequence[Mapping[str, Any]]:
    found = serving.told_reasons.get((packed, locale))
    if found is None:
        found = serving.told_reasons[packed, locale] = list(reasons_of(serving.reason_texts, packed, locale))
    return found


def reasons_of(texts: Mapping[int, LocalText], packed: int, locale: Locale) -> Iterator[Mapping[str, Any]]:
    for code in reason_codes(packed):
        if code in texts:
            yield {"code": code, "text": _text(texts[code], locale)}


def reason_codes(packed: int) -> Sequence[int]:
    """The up to two codes of `code1 | code2 << 8`, where 0 is none."""
    return [code for code in (packed & 0xFF, packed >> 8) if code]


def _text(text: LocalText, locale: Locale) -> str:
    return text.ru if locale is Locale.RU else text.en
