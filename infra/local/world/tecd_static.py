"""The tables of T-ECD that have no day: users, brands and the items of three domains, with their warts."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from data_contracts.vocabulary import Domain
from infra.local.world.parquet import unsigned, vectors, write_parquet
from infra.local.world.tecd import Scene
from infra.local.world.universe import item_vectors

_CLUSTERS = 22


def write_tecd_static(scene: Scene, folder: Path) -> dict[str, int]:
    tables = {"users": users(scene), "brands": brands(scene)}
    tables |= {f"{domain}/items": items(scene, domain) for domain in scene.universe.shelves}
    return {name: write_parquet(table, folder / f"{name}.pq") for name, table in tables.items()}


def users(scene: Scene) -> pa.Table:
    """Who is seen by partners. The socio-demographic cluster follows life stage and income, not always."""
    rng = scene.rng("users", 0)
    people = scene.people
    seen = np.flatnonzero(people.in_tecd)
    quarter = np.searchsorted([-0.6, 0.05, 0.7], people.income[seen])
    cluster = np.where(
        rng.random(len(seen)) < 0.9, 4 * people.stage[seen] + quarter, rng.integers(0, _CLUSTERS, len(seen))
    )
    unknown = (rng.random(len(seen)) < scene.params.warts.no_region) | (people.region[seen] < 0)
    return pa.table(
        {
            "user_id": unsigned(people.user_id[seen]),
            "socdem_cluster": pa.array(cluster.astype(np.uint8)),
            "region": pa.array(np.maximum(people.region[seen], 0).astype(np.uint8), mask=unknown),
        }
    )


def brands(scene: Scene) -> pa.Table:
    """Some brands come twice, some without an embedding, some with an empty one."""
    rng = scene.rng("brands", 0)
    warts, known = scene.params.warts, scene.universe.brands
    count = len(known.brand_id)
    again = rng.choice(count, max(1, int(warts.duplicate_brands * count)), replace=False)
    rows = rng.permutation(np.concatenate([np.arange(count), again]))
    draw = rng.random(len(rows))
    null = draw < warts.null_brand_embedding
    null[0] = True
    empty = ~null & (draw < warts.null_brand_embedding + warts.empty_brand_embedding)
    empty[1] = True
    return pa.table(
        {
            "brand_id": unsigned(known.brand_id[rows]),
            "embedding": vectors(known.vector[rows], null=null, empty=empty),
        }
    )


def items(scene: Scene, domain: Domain) -> pa.Table:
    rng = scene.rng(f"{domain} items", 0)
    shelf, warts = scene.universe.shelves[domain], scene.params.warts
    embedding = vectors(
        item_vectors(shelf, scene.universe.brands, rng), null=rng.random(len(shelf)) < warts.null_embedding
    )
    columns = {
        "item_id": scene.ids[domain],
        "brand_id": unsigned(scene.universe.brands.brand_id[shelf.brand]),
    }
    if domain != Domain.OFFERS:
        tastes = tuple(scene.params.tastes.values())
        category = [tastes[topic].categories[number] for topic, number in zip(shelf.topic, shelf.category, strict=True)]
        sub = [f"{name}_{style}" for name, style in zip(category, shelf.style, strict=True)]
        columns |= {
            "category": pa.array(category, pa.large_string()),
            "subcategory": pa.array(sub, pa.large_string(), mask=rng.random(len(shelf)) < warts.no_subcategory),
            "price": pa.array(shelf.price),
        }
    return pa.table({**columns, "embedding": embedding})
