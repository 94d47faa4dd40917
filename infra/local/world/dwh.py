"""Exports of the data warehouse: weekly and on D, each the full state at 00:00 of its date."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from data_contracts.vocabulary import LifecycleStage
from infra.local.world.arrays import Bools, Ints, uniforms
from infra.local.world.log import SpellRows
from infra.local.world.offering import Offering
from infra.local.world.parameters import CONSENT_CHANNELS, parameters
from infra.local.world.parquet import large, words, write_parquet
from infra.local.world.people import EMPLOYMENTS, People
from infra.local.world.plan import Plan

SUCCESS_MARKER = "_SUCCESS"
_PART = 250_000
_MONTHS = 3
_STAGES = tuple(LifecycleStage)
_NEW_DAYS = 90


def delivery_days(plan: Plan) -> tuple[int, ...]:
    return tuple(sorted({*range(0, plan.days, 7), plan.days}))


def write_delivery(
    people: People, spells: SpellRows, offering: Offering, plan: Plan, folder: Path, *, day: int
) -> dict[str, int]:
    """The three exports of a date, in parts of so many users; rows written by table."""
    rows = {"customers": 0, "holdings": 0, "aggregates": 0}
    name = f"dt={plan.date(day).isoformat()}"
    for part, start in enumerate(range(0, len(people), _PART)):
        stop = min(start + _PART, len(people))
        block = people.block(start, stop)
        tables = {
            "customers": customers(block, day=day),
            "holdings": holdings(people, _of_users(spells, start, stop), offering, plan, day=day),
            "aggregates": aggregates(block, plan, day=day, part=part),
        }
        for table, content in tables.items():
            rows[table] += write_parquet(content, folder / table / name / f"part-{part:05d}.parquet")
    for table in rows:  # last of all: whoever waits for an export waits for this
        (folder / table / name / SUCCESS_MARKER).touch()
    return rows


def customers(people: People, *, day: int) -> pa.Table:
    known = np.flatnonzero(people.customer & (people.joined < day))
    seen = People(**{name: values[known] for name, values in vars(people).items()})
    no_score = seen.score_band == 0
    consents = {f"consent_{name}": pa.array(seen.consents[:, i]) for i, name in enumerate(CONSENT_CHANNELS)}
    return pa.table(
        {
            "user_id": pa.array(seen.user_id),
            "birth_year": pa.array(seen.birth_year, mask=seen.birth_year == 0),
            "region": pa.array(seen.region, mask=seen.region < 0),
            "income_band": pa.array(seen.income_band, mask=seen.income_band < 0),
            "employment": words(large(*EMPLOYMENTS), np.maximum(seen.employment, 0), null=seen.employment < 0),
            "lifecycle_stage": words(large(*_STAGES), lifecycle(seen, day=day)),
            **consents,
            "consent_profiling": pa.array(seen.profiling),
            "score_band": pa.array(seen.score_band, mask=no_score),
            "credit_limit": pa.array(seen.credit_limit, mask=no_score),
            "arrears_days": pa.array(seen.arrears_days(day)),
        }
    )


def lifecycle(people: People, *, day: int) -> Ints:
    """New in the first months; then by how active the user is in the app; a few are leaving."""
    habit = people.habit[:, -1]
    stage = np.full(len(people), _STAGES.index(LifecycleStage.ACTIVE))
    stage[habit > 1.5] = _STAGES.index(LifecycleStage.ENGAGED)
    stage[habit < 0.3] = _STAGES.index(LifecycleStage.DORMANT)
    stage[uniforms(people.user_id, day // 28) < 0.02] = _STAGES.index(LifecycleStage.LEAVING)
    stage[people.joined > day - _NEW_DAYS] = _STAGES.index(LifecycleStage.NEW)
    return stage


def holdings(people: People, spells: SpellRows, offering: Offering, plan: Plan, *, day: int) -> pa.Table:
    """What was held at any time before `day`; what ends on or after it is still held."""
    seen = np.flatnonzero(spells.opened < day)
    closed = spells.closed[seen]
    epoch = (plan.first_day - date(1970, 1, 1)).days
    ids = large(*(product.product_id for product in offering.products))
    return pa.table(
        {
            "user_id": pa.array(people.user_id[spells.user[seen]]),
            "product_id": words(ids, spells.product[seen]),
            "opened_on": _dates(epoch + spells.opened[seen].astype(np.int64)),
            "closed_on": _dates(epoch + closed.astype(np.int64), null=closed >= day),
        }
    )


def aggregates(people: People, plan: Plan, *, day: int, part: int) -> pa.Table:
    """The last complete months. A month's figures are the same in every export that has them."""
    money, tables = parameters().money, []
    for month in _months_before(plan.date(day)):
        rng = plan.rng("aggregates", part, month.year * 12 + month.month)
        noise = rng.standard_normal((2, len(people)), dtype=np.float32)
        ended = (_next_month(month) - plan.first_day).days
        known = np.flatnonzero(people.customer & (people.joined < ended))
        income, thrift = people.income[known], people.thrift[known]
        tables.append(
            pa.table(
                {
                    "user_id": pa.array(people.user_id[known]),
                    "month": _dates(np.full(len(known), (month - date(1970, 1, 1)).days)),
                    "turnover": pa.array(money.turnover.draw(income, thrift, noise[0, known])),
                    "balance": pa.array(money.balance.draw(income, thrift, noise[1, known])),
                }
            )
        )
    return pa.concat_tables(tables)


def _dates(days: Ints, *, null: Bools | None = None) -> pa.Array:
    return pa.array(days.astype(np.int32), mask=null).cast(pa.date32())


def _months_before(day: date) -> list[date]:
    month, months = day.replace(day=1), []
    for _ in range(_MONTHS):
        month = date(month.year - (month.month == 1), (month.month - 2) % 12 + 1, 1)
        months.append(month)
    return months[::-1]


def _next_month(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _of_users(spells: SpellRows, start: int, stop: int) -> SpellRows:
    """Spells are in order of users."""
    first, last = np.searchsorted(spells.user, [start, stop])
    return SpellRows(**{name: values[first:last] for name, values in vars(spells).items()})
