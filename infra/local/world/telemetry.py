"""What customers do in the bank's app. Who wants a product comes more often, views its page and searches for it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from data_contracts.vocabulary import TelemetryEvent
from infra.local.world.arrays import Bools, Floats, Ints, ints
from infra.local.world.crowd import Visits, Wants, draw_visits
from infra.local.world.offering import Offering
from infra.local.world.tecd import Scene

_KINDS = (TelemetryEvent.PRODUCT_VIEW.value, TelemetryEvent.SEARCH.value, TelemetryEvent.SCREEN.value)
_VIEW, _SEARCH, _SCREEN = range(3)


@dataclass(frozen=True)
class Deeds:
    """What is done in the app, in order of time. `word` is a random number that picks a screen or a query."""

    visits: Visits
    session: Ints
    kind: Ints
    family: Ints
    product: Ints
    wanting: Bools
    word: Ints


def telemetry(
    scene: Scene, offering: Offering, wants: Wants, known: Floats, *, day: int
) -> tuple[Ints, dict[str, list[Any]]]:
    """Seconds, in order, and the columns of `digital.telemetry`."""
    deeds = _draw_deeds(scene, offering, wants, known, day=day)
    families = tuple(scene.params.families.values())
    places = [family.screens for family in families] + [scene.params.app.screens]
    place = np.where(deeds.wanting, deeds.family, len(families)).tolist()
    queries = [family.words for family in families]
    ids = [product.product_id for product in offering.products]
    kind, word = deeds.kind.tolist(), deeds.word.tolist()
    stem = f"{scene.plan.date(day):%Y%m%d}-"
    return deeds.visits.second, {
        "user_id": scene.people.user_id[deeds.visits.user].tolist(),
        "session_id": [f"{stem}{number:x}" for number in deeds.session.tolist()],
        "event_type": [_KINDS[k] for k in kind],
        "screen": _words(kind, _SCREEN, places, place, word),
        "query": _words(kind, _SEARCH, queries, deeds.family.tolist(), word),
        "product_id": [ids[p] if k == _VIEW else None for k, p in zip(kind, deeds.product.tolist(), strict=True)],
    }


def _draw_deeds(scene: Scene, offering: Offering, wants: Wants, known: Floats, *, day: int) -> Deeds:
    rng = scene.plan.rng("telemetry", day)
    app, behaviour = scene.params.app, scene.params.behaviour
    share = known * np.where(wants.family >= 0, np.float32(behaviour.intent_app), np.float32(1))
    visits = draw_visits(rng, scene.people, scene.plan, scene.params, domain="telemetry", day=day, share=share)
    session = ints(np.cumsum(visits.first)[np.argsort(visits.second, kind="stable")])
    visits = visits.by_time()
    n = len(visits)
    wanting = (wants.family[visits.user] >= 0) & (rng.random(n) < behaviour.intent_view)
    draw = rng.random(n)
    wanted, idle = (np.searchsorted(np.cumsum(shares), draw) for shares in (app.wanting, app.idling))
    kind = np.where(wanting, wanted, idle)
    family = ints(np.where(wanting, wants.family[visits.user], rng.integers(0, offering.families, n)))
    own = wanting & (rng.random(n) < app.own_wish)
    product = _products(rng, offering, wants, visits, family=family, own=own)
    return Deeds(visits, session, kind, family, product, wanting, rng.integers(0, 1 << 30, n))


def _words(
    kinds: list[int], kind: int, vocabularies: list[tuple[str, ...]], which: list[int], word: list[int]
) -> list[str | None]:
    """A word of each row's vocabulary, where the row is of the kind."""
    return [
        vocabularies[v][w % len(vocabularies[v])] if k == kind else None
        for k, v, w in zip(kinds, which, word, strict=True)
    ]


def _products(
    rng: np.random.Generator, offering: Offering, wants: Wants, visits: Visits, *, family: Ints, own: Bools
) -> Ints:
    """The wished product, or any of the family."""
    order = np.argsort(offering.family, kind="stable")
    sizes = np.bincount(offering.family, minlength=offering.families)
    begin = np.cumsum(sizes) - sizes
    other = order[begin[family] + (rng.random(len(family)) * sizes[family]).astype(np.int64)]
    return ints(np.where(own, wants.wish[visits.user], other))
