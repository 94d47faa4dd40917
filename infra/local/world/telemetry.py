"""What customers do in the bank's app. Who wants a product comes more often, views its page and searches for it."""

from typing import Any

import numpy as np

from data_contracts.vocabulary import TelemetryEvent
from infra.local.world.arrays import Bools, Floats, Ints, ints
from infra.local.world.crowd import Visits, Wants, draw_visits
from infra.local.world.offering import Offering
from infra.local.world.parameters import Parameters
from infra.local.world.tecd import Scene

_SCREENS = ("main", "history", "transfers", "payments", "offers", "profile", "chat", "map")
# Running shares of product pages and searches among the events of who wants something and knows what ...
_WANTING = (0.6, 0.85)
# ... and of everything else that is done.
_IDLING = (0.05, 0.08)
_OWN_WISH = 0.65  # share of product pages viewed in intent that are of the very product wished for
_VIEW, _SEARCH, _SCREEN = range(3)


def telemetry(
    scene: Scene, offering: Offering, wants: Wants, known: Floats, *, day: int
) -> tuple[Ints, dict[str, list[Any]]]:
    """Seconds, in order, and the columns of `digital.telemetry`."""
    rng = scene.plan.rng("telemetry", day)
    params = scene.params
    share = known * np.where(wants.family >= 0, np.float32(params.behaviour.intent_app), np.float32(1))
    visits = draw_visits(rng, scene.people, scene.plan, params, domain="telemetry", day=day, share=share)
    order = np.argsort(visits.second, kind="stable")
    session = np.cumsum(visits.first)[order].tolist()
    visits = visits.by_time()
    n = len(visits)
    wanting = (wants.family[visits.user] >= 0) & (rng.random(n) < params.behaviour.intent_view)
    draw = rng.random(n)
    kind = np.where(wanting, np.searchsorted(_WANTING, draw), np.searchsorted(_IDLING, draw)).tolist()
    random_family = rng.integers(0, offering.families, n)
    family = np.where(wanting, wants.family[visits.user], random_family).tolist()
    own = wanting & (rng.random(n) < _OWN_WISH)
    product = _products(rng, offering, wants, visits, family=ints(family), own=own)
    screens, queries = _words(params)
    word = rng.integers(0, 1 << 30, n).tolist()
    names = [TelemetryEvent.PRODUCT_VIEW.value, TelemetryEvent.SEARCH.value, TelemetryEvent.SCREEN.value]
    calm = (~wanting).tolist()
    places = [_SCREENS if idle else screens[f] for idle, f in zip(calm, family, strict=True)]
    stem = f"{scene.plan.date(day):%Y%m%d}-"
    return visits.second, {
        "user_id": scene.people.user_id[visits.user].tolist(),
        "session_id": [f"{stem}{number:x}" for number in session],
        "event_type": [names[k] for k in kind],
        "screen": [p[w % len(p)] if k == _SCREEN else None for k, p, w in zip(kind, places, word, strict=True)],
        "query": [
            queries[f][w % len(queries[f])] if k == _SEARCH else None
            for k, f, w in zip(kind, family, word, strict=True)
        ],
        "product_id": [
            offering.products[p].product_id if k == _VIEW else None for k, p in zip(kind, product.tolist(), strict=True)
        ],
    }


def _products(
    rng: np.random.Generator, offering: Offering, wants: Wants, visits: Visits, *, family: Ints, own: Bools
) -> Ints:
    """The wished product, or any of the family."""
    order = np.argsort(offering.family, kind="stable")
    sizes = np.bincount(offering.family, minlength=offering.families)
    begin = np.cumsum(sizes) - sizes
    other = order[begin[family] + (rng.random(len(family)) * sizes[family]).astype(np.int64)]
    return ints(np.where(own, wants.wish[visits.user], other))


def _words(params: Parameters) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    families = params.families.values()
    return [family.screens for family in families], [family.words for family in families]
