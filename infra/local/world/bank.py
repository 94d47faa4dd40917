"""The bank's own events of a day, as landed from its topics."""

from pathlib import Path
from typing import Any

import numpy as np

from data_contracts.vocabulary import CampaignEvent, Channel, ProductEvent
from infra.local.world.arrays import Ints
from infra.local.world.avro import write_topic
from infra.local.world.crowd import Wants
from infra.local.world.log import CampaignRows, DayLog, ProductRows
from infra.local.world.money import transactions
from infra.local.world.offering import Offering
from infra.local.world.parameters import CONSENT_CHANNELS
from infra.local.world.tecd import Scene
from infra.local.world.telemetry import telemetry


def write_bank_day(
    scene: Scene, offering: Offering, wants: Wants, log: DayLog, folder: Path, *, day: int
) -> dict[str, int]:
    """All topics; rows written by topic."""
    known = (scene.people.customer & (scene.people.joined <= day)).astype(np.float32)
    topics = {
        "bank.transactions": transactions(scene, wants, known, day=day),
        "bank.product_events": product_events(scene, offering, log.products),
        "campaign.interactions": campaign_interactions(scene, offering, log.campaigns),
        "digital.telemetry": telemetry(scene, offering, wants, known, day=day),
    }
    again = scene.params.warts.redelivered
    return {
        topic: write_topic(folder, topic, columns, plan=scene.plan, day=day, seconds=seconds, again=again)
        for topic, (seconds, columns) in topics.items()
    }


def product_events(scene: Scene, offering: Offering, rows: ProductRows) -> tuple[Ints, dict[str, list[Any]]]:
    order = np.argsort(rows.second, kind="stable")
    kinds = [kind.value for kind in ProductEvent]
    return rows.second[order], {
        "user_id": scene.people.user_id[rows.user[order]].tolist(),
        "product_id": [offering.products[product].product_id for product in rows.product[order].tolist()],
        "event_type": [kinds[kind] for kind in rows.kind[order].tolist()],
    }


def campaign_interactions(scene: Scene, offering: Offering, rows: CampaignRows) -> tuple[Ints, dict[str, list[Any]]]:
    order = np.argsort(rows.second, kind="stable")
    kinds = [kind.value for kind in CampaignEvent]
    channels = [Channel(channel).value for channel in CONSENT_CHANNELS]
    families = list(offering.params.families)
    return rows.second[order], {
        "user_id": scene.people.user_id[rows.user[order]].tolist(),
        "campaign_id": [
            f"{families[family]}-{scene.plan.date(wave):%Y%m%d}"
            for family, wave in zip(rows.family[order].tolist(), rows.wave[order].tolist(), strict=True)
        ],
        "product_id": [offering.products[product].product_id for product in rows.product[order].tolist()],
        "channel": [channels[channel] for channel in rows.channel[order].tolist()],
        "event_type": [kinds[kind] for kind in rows.kind[order].tolist()],
    }
