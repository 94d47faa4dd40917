"""What may be shown: approved rule sets and compliance stops, each with a pointer of its own.

Serving uses the newest of both, whatever the snapshot: a rollback brings nothing back that was withdrawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from data_contracts.catalogue import Catalogue, Reasons, Rules, check_references
from data_contracts.errors import InputError
from sql.client import AsyncStore, Rows, Store

NIGHT = "night"  # who puts what deliveries bring
_CURRENT = "rule_sets_v1/current"


@dataclass(frozen=True)
class RuleSet:
    """`version` names the three documents' versions; `seq` is what `Pointers.rules_seq` speaks of."""

    seq: int
    version: str
    catalogue: Catalogue
    rules: Rules
    reasons: Reasons
    approved_at: datetime
    actor: str


@dataclass(frozen=True)
class Block:
    item_id: str
    at: datetime
    actor: str
    why: str


def put_delivered(store: Store, *, catalogue: Catalogue, rules: Rules, reasons: Reasons) -> bool:
    """Approve what a night has read; returns as `put_rule_set`, and raises so.

    Rules that two people approved since stay, with the new catalogue, until a delivery brings others than it did then.
    """
    serving, delivered = current_rule_set(store), _rule_set(store.rows("rule_sets_v1/last_of", actor=NIGHT))
    if serving and serving.actor != NIGHT and delivered and delivered.rules == rules:
        return put_rule_set(store, catalogue=catalogue, rules=serving.rules, reasons=reasons, actor=serving.actor)
    return put_rule_set(store, catalogue=catalogue, rules=rules, reasons=reasons, actor=NIGHT)


def put_rule_set(store: Store, *, catalogue: Catalogue, rules: Rules, reasons: Reasons, actor: str) -> bool:
    """Approve a rule set. Returns whether it is new: the set that is already current is not put again, unless a
    delivery brings for the first time what was current already.

    Raises InputError when the rules speak of products that the catalogue does not have.
    """
    try:
        check_references(catalogue, rules)
    except ValueError as error:
        raise InputError(str(error)) from error
    serving = current_rule_set(store)
    is_same = serving and (serving.catalogue, serving.rules, serving.reasons) == (catalogue, rules, reasons)
    if serving and is_same and (actor == serving.actor or actor != NIGHT):
        return False
    store.run(
        "rule_sets_v1/put",
        version=f"{catalogue.version}/{rules.version}/{reasons.version}",
        catalogue=catalogue.model_dump_json(),
        rules=rules.model_dump_json(),
        reasons=reasons.model_dump_json(),
        actor=actor,
    )
    return True


def current_rule_set(store: Store) -> RuleSet | None:
    return _rule_set(store.rows(_CURRENT))


async def current_rule_set_async(store: AsyncStore) -> RuleSet | None:
    return _rule_set(await store.rows(_CURRENT))


def rule_sets_between(store: Store, since: int, at: int) -> Sequence[RuleSet]:
    """All that were current at some moment between two, in microseconds since 1970, newest first."""
    moments = _moments(store, "rule_sets_v1/changes", since, at)
    return [found for moment in moments if (found := _rule_set(store.rows("rule_sets_v1/as_of", at=moment)))]


def blocked_between(store: Store, since: int, at: int) -> Sequence[frozenset[str]]:
    """The same of the items that were stopped."""
    moments = _moments(store, "blocks_v1/changes", since, at)
    return [frozenset(one for (one,) in store.rows("blocks_v1/as_of", at=moment)) for moment in moments]


def _moments(store: Store, changes: str, since: int, at: int) -> Sequence[int]:
    """The last moment of each state: a state ends just before the next change."""
    changed = sorted((moment for (moment,) in store.rows(changes, since=since, at=at)), reverse=True)
    return [at, *(moment - 1 for moment in changed)]


def block(store: Store, item_id: str, *, actor: str, why: str) -> None:
    """Stop showing an item, everywhere and at once. Raises InputError for an item nobody knows: a typo."""
    if not is_known(store, item_id):
        raise InputError(f"there is no item {item_id!r} in any loaded snapshot or the serving catalogue")
    store.run("blocks_v1/put", item_id=item_id, blocked=True, actor=actor, why=why)


def unblock(store: Store, item_id: str, *, actor: str, why: str) -> None:
    """End a stop. Raises InputError when there is none."""
    refuse_unblocked(store, item_id)
    store.run("blocks_v1/put", item_id=item_id, blocked=False, actor=actor, why=why)


def refuse_unblocked(store: Store, item_id: str) -> None:
    """Raises InputError for an item that is not stopped."""
    if item_id not in {entry.item_id for entry in blocks(store)}:
        raise InputError(f"item {item_id!r} is not blocked")


def blocks(store: Store) -> tuple[Block, ...]:
    """Items stopped now, by item id."""
    return tuple(
        Block(item_id=item_id, at=moved_at, actor=actor, why=why)
        for item_id, moved_at, actor, why in store.rows("blocks_v1/current")
    )


def is_known(store: Store, item_id: str) -> bool:
    """Whether the serving catalogue or any loaded snapshot has it."""
    serving = current_rule_set(store)
    if serving and any(product.product_id == item_id for product in serving.catalogue.products):
        return True
    return bool(store.rows("items_v1/known", item_id=item_id)[0][0])


def _rule_set(rows: Rows) -> RuleSet | None:
    if not rows:
        return None
    seq, version, catalogue, rules, reasons, approved_at, actor = rows[0]
    return RuleSet(
        seq=seq,
        version=version,
        catalogue=Catalogue.model_validate_json(catalogue),
        rules=Rules.model_validate_json(rules),
        reasons=Reasons.model_validate_json(reasons),
        approved_at=approved_at,
        actor=actor,
    )
