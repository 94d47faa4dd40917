"""No contract and no event admits a person's name or numbers; values that look like one are counted, not kept."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.pii import event_schemas, lint_contract, lint_event, suspicious
from data_contracts.tables import TableContract, contract, table_names
from spark_jobs.ingest.contents import check_deliveries
from spark_jobs.ingest.deliveries import find_deliveries
from spark_jobs.ingest.pii_scan import personal_looking
from tests.spark.ingest_samples import AS_OF, Deliveries

YESTERDAY = date(2026, 3, 15)


@pytest.mark.parametrize("name", table_names())
def test_no_contract_admits_a_person(name: str) -> None:
    assert not list(lint_contract(contract(name)))


def test_no_event_admits_a_person() -> None:
    schemas = event_schemas()
    assert schemas
    assert not [line for where, schema in schemas.items() for line in lint_event(schema, where=where)]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("fio", "name"),
        ("client_full_name", "name"),
        ("name", "name"),
        ("familiya", "name"),
        ("phone", "phone"),
        ("nomer_telefona", "phone"),
        ("contact_email", "e-mail"),
        ("passport_series", "passport"),
        ("inn", "passport"),
        ("snils", "passport"),
        ("pan", "card number"),
        ("card_number", "card number"),
    ],
)
def test_a_column_is_told_by_its_name(column: str, kind: str) -> None:
    (line,) = lint_contract(_with_column(column, "a column"))
    assert line.startswith(f"silver.gossip.{column} admits a person's {kind}")


@pytest.mark.parametrize("words", ["ФИО клиента", "the holder's card number", "Their mobile phone"])
def test_a_column_is_told_by_its_description(words: str) -> None:
    assert len(list(lint_contract(_with_column("field_7", words)))) == 1


@pytest.mark.parametrize("column", ["product_name", "panel", "inner_join", "consent_mobile", "telemetry", "discard_no"])
def test_a_column_that_only_sounds_alike_passes(column: str) -> None:
    assert not list(lint_contract(_with_column(column, "a column")))


def test_a_nested_field_of_an_event_is_told_with_its_path() -> None:
    inner = {"type": "record", "name": "Contact", "fields": [{"name": "email", "type": "string"}]}
    schema = {
        "type": "record",
        "name": "Event",
        "fields": [{"name": "contacts", "type": ["null", {"type": "array", "items": inner}]}],
    }
    (line,) = lint_event(schema, where="bank.contacts")
    assert line.startswith("bank.contacts.contacts.email admits a person's e-mail")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("write to ivan.petrov@example.com please", "e-mail"),
        ("+7 (916) 123-45-67", "phone"),
        ("89161234567", "phone"),
        ("card 4111 1111 1111 1111", "card number"),
        ("2200123456789019", "card number"),
        ("паспорт 45 09 № 123456", "passport"),
        ("112-233-445 95", "SNILS"),
        ("7707083893", "INN"),
        ("500100732259", "INN"),
        ("Иванова Анна Сергеевна", "name"),
    ],
)
def test_a_value_is_told_by_its_look(value: str, kind: str) -> None:
    assert suspicious([value, "ипотека", "", "screen:main"]) == {kind: 1}


def test_numbers_are_not_taken_for_cards_because_some_have_the_right_digit() -> None:
    """One in ten passes Luhn's check, and the same goes for the other check digits."""
    assert not suspicious(str(4_111_111_111_111_000 + 7 * number) for number in range(200))
    assert not suspicious(str(7_707_083_000 + 7 * number) for number in range(200))


@pytest.mark.parametrize(
    "value", ["nfmcg_4111111111111111", "55cc577396e77d0e", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"]
)
def test_ids_of_items_and_hashes_are_nothing_personal(value: str) -> None:
    assert not suspicious([value])


def test_deliveries_are_scanned_and_the_value_is_not_told(tmp_path: Path) -> None:
    deliveries = Deliveries(tmp_path)
    common = {"event_id": "a", "event_time": 9, "user_id": 1, "session_id": "s", "event_type": "search", "screen": None}
    searches = [{**common, "query": text, "product_id": "p"} for text in ("ипотека", "my card 4111111111111111")]
    deliveries.avro("digital.telemetry", YESTERDAY, searches)
    exported = deliveries.customers(AS_OF, [1, 2])
    drifted = pq.read_table(exported).append_column("contact", pa.array(["a@b.ru", "+79161234567"]))
    pq.write_table(drifted, exported)
    warnings = personal_looking(check_deliveries(find_deliveries(deliveries.params())))
    assert sorted(warnings) == [
        "bronze.customers.contact: 1 of 2 sampled values look like a person's e-mail",
        "bronze.customers.contact: 1 of 2 sampled values look like a person's phone",
        "bronze.telemetry.query: 1 of 2 sampled values look like a person's card number",
    ]


def _with_column(name: str, description: str) -> TableContract:
    return TableContract.model_validate(
        {
            "name": "silver.gossip",
            "version": "1.0",
            "grain": "one row a test",
            "owner": "nobody",
            "freshness_hours": 1,
            "retention_days": None,
            "columns": [{"name": name, "type": "string", "description": description}],
        }
    )
