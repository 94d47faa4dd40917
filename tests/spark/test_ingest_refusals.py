"""What ingest refuses, before Spark reads a row: one line that names file, rows and contract, and nothing written."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from data_contracts.errors import InputError
from data_contracts.night import NightParams, Sources
from spark_jobs.ingest.contents import check_deliveries, drifted
from spark_jobs.ingest.deliveries import find_deliveries, missing_days, require_recent_days
from spark_jobs.ingest.ledger import Entry, require_known_folders
from spark_jobs.ingest.reference import read_reference
from tests.spark.ingest_samples import AS_OF, Deliveries

DAY = AS_OF - timedelta(days=1)
EVENT = {"event_id": "a", "event_time": 12, "user_id": 1, "product_id": "loan_cash", "event_type": "applied"}


@pytest.fixture
def deliveries(tmp_path: Path) -> Deliveries:
    return Deliveries(tmp_path)


def with_tecd(deliveries: Deliveries, uri: str) -> NightParams:
    return NightParams(as_of=AS_OF, lake=str(deliveries.root / "lake"), sources=Sources(tecd=uri))


def check(deliveries: Deliveries, *, as_of: date = AS_OF) -> None:
    check_deliveries(find_deliveries(deliveries.params(as_of=as_of)))


def test_a_missing_column_is_refused_with_file_rows_and_contract(deliveries: Deliveries) -> None:
    deliveries.parquet("tecd/offers/events/01296.pq", {"timestamp": pa.array([1, 2], pa.duration("us"))})
    with pytest.raises(InputError) as refusal:
        check(deliveries)
    told = str(refusal.value)
    assert "offers/events/01296.pq: 2 rows" in told
    assert "bronze.offers_events" in told
    assert "column user_id is missing, expected bigint; column item_id is missing, expected string" in told
    assert "deliver the file as promised, or raise the contract's version" in told
    assert "\n" not in told


def test_a_wrong_type_is_refused(deliveries: Deliveries) -> None:
    columns = {
        "user_id": pa.array(["7"]),
        "product_id": pa.array(["loan_cash"]),
        "opened_on": pa.array([DAY], pa.date32()),
        "closed_on": pa.array([None], pa.date32()),
    }
    deliveries.parquet(f"dwh/holdings/dt={DAY}/part-0.parquet", columns)
    with pytest.raises(
        InputError, match=r"1 rows against contract bronze.holdings .*user_id is string, expected bigint"
    ):
        check(deliveries)


@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_a_truncated_parquet_file_is_refused(deliveries: Deliveries, kept: float) -> None:
    file = deliveries.marketplace(DAY, [(1, 1, "nfmcg_1", "view")])
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=r"01296.pq: not a readable Parquet file, \d+ bytes, row count unknown"):
        check(deliveries)


def test_a_truncated_avro_file_is_refused(deliveries: Deliveries) -> None:
    file = deliveries.avro("bank.product_events", DAY, [EVENT] * 50)
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"part-0.avro: not a readable Avro file"):
        check(deliveries)


def test_an_avro_file_off_its_contract_is_refused(deliveries: Deliveries) -> None:
    deliveries.avro("bank.product_events", DAY, [{**EVENT, "user_id": 1, "product_id": "x"} | {"amount": 1.0}])
    (told,) = drifted(check_deliveries(find_deliveries(deliveries.params())))  # more than promised is worth a look
    assert told.startswith("product_events: column amount is not in contract bronze.product_events and is left out: ")
    assert told.endswith("/12/part-0.avro")
    deliveries.avro("bank.product_events", DAY, [{k: v for k, v in EVENT.items() if k != "product_id"}])
    with pytest.raises(InputError, match="column product_id is missing"):
        check(deliveries)


def test_a_missing_folder_is_refused(deliveries: Deliveries) -> None:
    with pytest.raises(InputError, match=r"/nowhere: no such folder"):
        find_deliveries(with_tecd(deliveries, "/nowhere"))


def test_a_folder_with_nothing_of_its_source_is_refused(deliveries: Deliveries) -> None:
    (deliveries.root / "other").mkdir()
    with pytest.raises(InputError, match=r"nothing of source tecd in this folder"):
        find_deliveries(with_tecd(deliveries, str(deliveries.root / "other")))


def test_a_source_that_has_delivered_before_must_still_have_its_folder(deliveries: Deliveries) -> None:
    deliveries.marketplace(DAY, [(1, 1, "nfmcg_1", "view")])
    params = deliveries.params()
    known = {("retail_events", DAY): Entry("retail_events", DAY, "f", 1, 0)}
    with pytest.raises(InputError, match=r"retail/events: missing or empty"):
        require_known_folders(find_deliveries(params), known, params)


def test_a_date_without_any_day_before_it_is_refused_with_the_days_there_are(deliveries: Deliveries) -> None:
    deliveries.marketplace(AS_OF, [(1, 1, "nfmcg_1", "view")])
    deliveries.marketplace(AS_OF + timedelta(days=2), [(1, 1, "nfmcg_1", "view")])
    params = deliveries.params()
    with pytest.raises(InputError, match=r"no data before 2026-03-16: the sources have days 2026-03-16 to 2026-03-18"):
        require_recent_days(find_deliveries(params), params)


def test_a_date_long_after_the_last_day_is_refused(deliveries: Deliveries) -> None:
    deliveries.marketplace(DAY, [(1, 1, "nfmcg_1", "view")])
    params = deliveries.params(as_of=date(2030, 1, 1))
    with pytest.raises(InputError, match=r"choose a date up to 2026-03-16"):
        require_recent_days(find_deliveries(params), params)


def test_a_missing_day_is_only_a_warning(deliveries: Deliveries) -> None:
    for ago in (4, 1):
        deliveries.marketplace(AS_OF - timedelta(days=ago), [(1, 1, "nfmcg_1", "view")])
    params = deliveries.params()
    found = find_deliveries(params)
    require_recent_days(found, params)
    assert list(missing_days(found, params)) == [
        "marketplace_events: no file for 2 of 4 days: 2026-03-13, 2026-03-14",
    ]


def test_a_file_without_rows_fits_any_contract(deliveries: Deliveries) -> None:
    deliveries.parquet("tecd/offers/events/01296.pq", {"whatever": pa.array([], pa.null())})
    (deliveries.root / "tecd/offers/events/01295.pq").touch()
    checked = check_deliveries(find_deliveries(deliveries.params()))
    assert [one.rows for one in checked] == [0, 0]


def test_a_catalogue_with_two_products_of_one_id_is_refused(deliveries: Deliveries) -> None:
    deliveries.reference([{"product_id": "loan_cash", "family": "loan"}] * 2)
    with pytest.raises(InputError, match=r"catalogue.yaml: .*the same product_id more than once: loan_cash"):
        read_reference(str(deliveries.root / "reference"))


def test_rules_about_unknown_products_are_refused(deliveries: Deliveries) -> None:
    deliveries.reference()
    rules = deliveries.root / "reference" / "rules.yaml"
    rules.write_text("version: '1'\nstatic_popular: [yacht]\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"rules.yaml: .*unknown products: yacht"):
        read_reference(str(deliveries.root / "reference"))


def test_a_missing_document_is_refused(deliveries: Deliveries) -> None:
    deliveries.reference()
    (deliveries.root / "reference" / "reasons.yaml").unlink()
    with pytest.raises(InputError, match=r"reasons.yaml: no such file"):
        read_reference(str(deliveries.root / "reference"))
