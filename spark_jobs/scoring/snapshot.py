"""The snapshot folder: which tables lie where, and how the small ones are written.

Layout under the snapshot's URI: lists/, audience_pool/, fallback_lists/, user_state/, items/, portraits/ (Parquet) and
catalogue.json, rules.json, reasons.json; manifest.json comes last and is written by sealing, not here.
"""

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel
from pyspark.sql import DataFrame

from data_contracts.catalogue import Catalogue, Reasons, Rules
from data_contracts.columns import FAMILY, ITEM_CODE, ITEM_ID, KIND
from data_contracts.vocabulary import Kind
from spark_jobs.lake.files import file_system, write_bytes

LISTS, AUDIENCE_POOL = "lists", "audience_pool"
FALLBACK_LISTS, USER_STATE, ITEMS, PORTRAITS = "fallback_lists", "user_state", "items", "portraits"
CATALOGUE, RULES, REASONS = "catalogue.json", "rules.json", "reasons.json"

ITEMS_SCHEMA = pa.schema(
    [
        (ITEM_CODE, pa.int32()),
        (ITEM_ID, pa.string()),
        (KIND, pa.string()),
        (FAMILY, pa.string()),
        ("name_en", pa.string()),
        ("name_ru", pa.string()),
    ]
)
PORTRAITS_SCHEMA = pa.schema(
    [
        ("product_id", pa.string()),
        ("feature", pa.string()),
        ("holders", pa.int64()),
        ("holders_mean", pa.float32()),
        ("everyone_mean", pa.float32()),
    ]
)


def write_frame(frame: DataFrame, snapshot: str, table: str) -> None:
    """A large table, by Spark; replaces what a killed attempt left."""
    frame.write.mode("overwrite").parquet(f"{snapshot}/{table}")


def write_small(table: pa.Table, snapshot: str, name: str) -> None:
    """A small table, as one file; replaces what a killed attempt left."""
    system, folder = file_system(f"{snapshot}/{name}")
    system.create_dir(folder, recursive=True)
    system.delete_dir_contents(folder)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes(f"{snapshot}/{name}/part-00000.parquet", sink.getvalue().to_pybytes())


def write_document(document: BaseModel, snapshot: str, name: str) -> None:
    write_bytes(f"{snapshot}/{name}", document.model_dump_json(indent=1).encode())


def write_documents(snapshot: str, *, catalogue: Catalogue, rules: Rules, reasons: Reasons) -> None:
    for document, name in ((catalogue, CATALOGUE), (rules, RULES), (reasons, REASONS)):
        write_document(document, snapshot, name)


def items_table(catalogue: Catalogue, offers: list[str]) -> pa.Table:
    """`items`: products first, in catalogue order, then offers (ids in their index's order). Offers have no names."""
    products = [
        (product.product_id, Kind.PRODUCT.value, product.family.value, product.name.en, product.name.ru)
        for product in catalogue.products
    ]
    rows = [*products, *((offer, Kind.OFFER.value, "", offer, offer) for offer in offers)]
    columns = [pa.array(range(len(rows)), pa.int32())]
    columns += [pa.array([row[number] for row in rows], pa.string()) for number in range(5)]
    return pa.table(columns, schema=ITEMS_SCHEMA)
