"""An explanation as it is answered: the log beside what was made again. Pure."""

from collections.abc import Iterator, Mapping

from api.answers import probability, reasons_of
from api.explaining import WHY, Dropped, Rebuilt
from api.explanation_models import ContextThen, DroppedItem, Explanation, PolicyThen, ShownItem
from api.exposures import MIXED
from api.models import Experiment, Locale, Reason
from api.serving import Serving
from data_contracts.context import Context
from data_contracts.experiments import drawn_order
from data_contracts.rec_id import RecId
from data_contracts.vocabulary import Family, Kind, Placement, Screen, Tier, Variant
from sql.looking_back import LoggedAnswer


def kind_of(logged: LoggedAnswer) -> Kind | None:
    return None if logged.kind == MIXED else Kind(logged.kind)


def context_of(logged: LoggedAnswer) -> Context:
    return Context(
        screen=Screen(logged.screen) if logged.screen else None,
        placement=Placement(logged.placement) if logged.placement else None,
        search=Family(logged.search_family) if logged.search_family else None,
        cart=tuple(logged.cart),
        basket_product=logged.basket_product,
    )


def variants_of(logged: LoggedAnswer) -> Mapping[Kind, Variant]:
    """Whose lists it was made of, by kind; where that was not logged, whose its best item's are."""
    told = {Kind.PRODUCT: logged.product_variant, Kind.OFFER: logged.offer_variant}
    return {kind: Variant(variant or logged.variant) for kind, variant in told.items()}


def is_same(again: Rebuilt, logged: LoggedAnswer) -> bool:
    return list(again.kept) == list(logged.item_ids)


def written(
    rec_id: str,
    about: RecId,
    logged: LoggedAnswer,
    *,
    serving: Serving,
    again: Rebuilt,
    is_static: bool,
    events: int,
    todays_hash: str,
    locale: Locale,
) -> Explanation:
    """`serving`: what the answer was made again with; `events`: how many it took into account."""
    policy = PolicyThen(
        hash=about.policy_hash,
        rebuilt_hash=serving.policy.hash,
        todays_hash=todays_hash,
        is_rebuilt=serving.policy.hash == about.policy_hash,
        is_todays=todays_hash == about.policy_hash,
    )
    agrees = is_same(again, logged)
    return Explanation(
        rec_id=rec_id,
        user_id=logged.user_id,
        timestamp=about.time.isoformat(),
        channel=about.channel,
        kind=kind_of(logged),
        top_k=logged.top_k,
        families=[Family(one) for one in logged.families],
        exclude=list(logged.exclude),
        context=_context_then(context_of(logged)),
        snapshot_id=about.snapshot_id or None,
        tier=Tier(logged.tier),
        variant=logged.variant,
        experiment=Experiment(name=logged.experiment, arm=logged.arm) if logged.experiment else None,
        policy=policy,
        agrees=agrees,
        events=events,
        notes=_notes(policy, logged, agrees=agrees, is_static=is_static, is_profiled=again.is_profiled),
        shown=list(_shown(serving, logged, again, locale)),
        dropped=[_dropped(one) for one in again.dropped if one.item_id not in logged.item_ids],
    )


def _context_then(context: Context) -> ContextThen:
    return ContextThen(
        screen=context.screen,
        placement=context.placement,
        search_family=context.search,
        cart=list(context.cart),
        basket_product=context.basket_product,
    )


def _shown(serving: Serving, logged: LoggedAnswer, again: Rebuilt, locale: Locale) -> Iterator[ShownItem]:
    items = zip(logged.item_ids, logged.item_tiers, logged.item_scores, strict=True)
    for position, (item_id, tier, score) in enumerate(items, start=1):
        kept = again.kept.get(item_id)
        found = reasons_of(serving.reason_texts, kept.candidate.reasons, locale) if kept else ()
        yield ShownItem(
            item_id=item_id,
            position=position,
            listed_at=kept.listed_at if kept else None,
            tier=Tier(tier),
            score=score,
            boost=kept.boost if kept else 0.0,
            context_boost=kept.context_boost if kept else 0.0,
            reasons=[Reason.model_validate(one) for one in found],
        )


def _dropped(one: Dropped) -> DroppedItem:
    return DroppedItem(
        item_id=one.item_id,
        listed_at=one.listed_at,
        tier=one.tier,
        score=probability(one.score),
        rule=one.rule,
        why=WHY[one.rule],
    )


def _notes(policy: PolicyThen, logged: LoggedAnswer, *, agrees: bool, is_static: bool, is_profiled: bool) -> list[str]:
    order = drawn_order(logged.propensities)
    said = {
        "the rules have changed since this answer": not policy.is_todays,
        "the very rules of then were not found: drops are by the likeliest ones": not policy.is_rebuilt,
        "the answer came from memory: the database did not answer in time": is_static,
        "two neighbours changed places by chance, to learn what another order would earn": order != sorted(order),
        "no consent to profiling: the personal list was not used": not is_profiled,
        "made again the answer differs: `shown` is as logged, `dropped` may be incomplete": not agrees,
    }
    return [text for text, is_so in said.items() if is_so]
