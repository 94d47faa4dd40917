"""Rule sets and compliance stops have pointers of their own."""

from datetime import datetime
from pathlib import Path

import pytest

from data_contracts.catalogue import Catalogue, LocalText, Product, ReasonCode, Reasons, Rules
from data_contracts.errors import InputError
from data_contracts.overlay.rows import micros
from data_contracts.vocabulary import Channel, Family
from sql.client import Store
from sql.load import load
from sql.pointer import read_pointers
from sql.rules import block, blocked_between, blocks, current_rule_set, put_rule_set, rule_sets_between, unblock
from tests.sql.snapshots import write_snapshot


def test_the_newest_rule_set_serves_and_comes_back_as_it_was(store: Store) -> None:
    assert current_rule_set(store) is None
    assert _put(store, catalogue=_catalogue("1"))
    assert _put(store, catalogue=_catalogue("2", "card-gold"))
    serving = current_rule_set(store)
    assert serving is not None
    assert (serving.catalogue, serving.rules, serving.reasons) == (
        _catalogue("2", "card-gold"),
        Rules(version="r"),
        _REASONS,
    )
    assert (serving.version, serving.actor) == ("2/r/w", "risk")
    assert read_pointers(store).rules_seq == serving.seq == 2


def test_the_same_rule_set_is_put_once(store: Store) -> None:
    assert _put(store, catalogue=_catalogue("1"))
    assert not _put(store, catalogue=_catalogue("1"))
    assert _put(store, catalogue=_catalogue("2"))
    assert _put(store, catalogue=_catalogue("1"))
    assert read_pointers(store).rules_seq == 3


def test_rules_that_speak_of_unknown_products_are_refused(store: Store) -> None:
    with pytest.raises(InputError, match="unknown products: nothing"):
        _put(store, catalogue=_catalogue("1"), rules=Rules(version="r", static_popular=("nothing",)))
    assert current_rule_set(store) is None


def test_a_block_holds_until_it_is_lifted(store: Store) -> None:
    _put(store, catalogue=_catalogue("1", "card-gold", "loan-cash"))
    block(store, "loan-cash", actor="legal", why="complaint's №7")
    block(store, "card-gold", actor="legal", why="recall")
    (gold, cash) = blocks(store)
    assert (cash.item_id, cash.actor, cash.why) == ("loan-cash", "legal", "complaint's №7")
    assert read_pointers(store).blocked_items == ("card-gold", "loan-cash")
    unblock(store, "loan-cash", actor="legal", why="settled")
    assert blocks(store) == (gold,)
    block(store, "loan-cash", actor="legal", why="again")
    assert read_pointers(store).blocked_items == ("card-gold", "loan-cash")


def test_every_state_of_rules_and_stops_between_two_moments_is_found_newest_first(store: Store) -> None:
    _put(store, catalogue=_catalogue("1", "card-gold", "card-black"))
    since = micros(_newest(store))
    block(store, "card-gold", actor="legal", why="recall")
    block(store, "card-black", actor="legal", why="recall")
    unblock(store, "card-gold", actor="legal", why="over")
    _put(store, catalogue=_catalogue("2", "card-gold", "card-black"))
    at = micros(_newest(store))
    gold, black = {"card-gold"}, {"card-black"}
    assert list(blocked_between(store, since, at)) == [black, gold | black, gold, set()]
    assert [one.catalogue.version for one in rule_sets_between(store, since, at)] == ["2", "1"]
    assert [one.catalogue.version for one in rule_sets_between(store, since, at - 1)] == ["1"]


def _newest(store: Store) -> datetime:
    """When the newest rule set was approved."""
    found = current_rule_set(store)
    assert found
    return found.approved_at


def test_an_offer_of_a_loaded_snapshot_can_be_blocked(store: Store, tmp_path: Path) -> None:
    write_snapshot(tmp_path, snapshot_id="2026-03-15.1", users=10)
    load(store, snapshot_uri=str(tmp_path))
    block(store, "offer_41", actor="legal", why="withdrawn")
    assert read_pointers(store).blocked_items == ("offer_41",)


def test_a_typo_blocks_nothing_and_says_so(store: Store) -> None:
    with pytest.raises(InputError, match="there is no item 'crad-gold'"):
        block(store, "crad-gold", actor="legal", why="recall")
    with pytest.raises(InputError, match="'card-gold' is not blocked"):
        unblock(store, "card-gold", actor="legal", why="recall")


_REASONS = Reasons(
    version="w", reasons=(ReasonCode(code=1, name="likes", text=LocalText(en="You like it", ru="Вам по душе")),)
)


def _catalogue(version: str, *ids: str) -> Catalogue:
    return Catalogue(version=version, products=tuple(_product(product_id) for product_id in ids))


def _product(product_id: str) -> Product:
    name = LocalText(en=product_id, ru=f"Карта «{product_id}»")
    return Product(product_id=product_id, family=Family.CARD, name=name, value=100, channels=(Channel.MOBILE,))


def _put(store: Store, *, catalogue: Catalogue, rules: Rules | None = None) -> bool:
    return put_rule_set(store, catalogue=catalogue, rules=rules or Rules(version="r"), reasons=_REASONS, actor="risk")
