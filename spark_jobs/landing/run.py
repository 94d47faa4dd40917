"""Lands events until told to stop: joins the consumer group again whenever it was thrown out of it."""

import logging
from collections.abc import Callable

from data_contracts.events.registry import registry
from data_contracts.settings import Settings
from spark_jobs.landing.batches import Landed
from spark_jobs.landing.clients import ensure_topics, translated
from spark_jobs.landing.files import FencedError
from spark_jobs.landing.lander import Lander

_log = logging.getLogger(__name__)


def land(
    settings: Settings, *, once: bool, is_stopped: Callable[[], bool], tell: Callable[[Landed], None]
) -> dict[str, list[str]]:
    """Consume all topics into the lake; returns fields that were left out because we know no such schema, by message.

    Raises UnavailableError when Kafka or the schema registry is, InputError for a landed file that is broken.
    """
    schemas = registry(settings)
    left_out: dict[str, list[str]] = {}
    ensure_topics(settings)
    while True:
        try:
            with translated(settings), Lander(settings, schemas, tell=tell) as lander:
                lander.run(is_stopped=is_stopped, once=once)
                left_out |= {
                    f"{topic}, schema {number}": names for (topic, number), names in lander.codec.left_out.items()
                }
                return left_out
        except FencedError as error:
            _log.warning("partitions went to another consumer, joining again: %s", error)
