"""What a cluster is told: the engine here has neither replicas nor users, so the text is kept, and it parses it."""

import re
from pathlib import Path

import clickhouse_connect
import pytest

from data_contracts.settings import Settings
from sql import migrate
from sql.clustered import on_cluster
from sql.grants import ROLES, grants
from sql.migrate import steps
from sql.statements import SQL_FOLDER, statement

GOLDEN = Path(__file__).with_name("cluster.golden.sql")
CHANGING = ("migrations_v1/create_database", "migrations_v1/create", "load/stop", "load/sync")


def names() -> list[str]:
    stages = sorted(f"{path.parent.name}/stage" for path in SQL_FOLDER.glob("*/stage.sql"))
    return [*CHANGING, *steps(), *stages]


def rendered() -> str:
    return "\n".join(f"-- {name}\n{on_cluster(statement(name), '{cluster}')};\n" for name in names())


def test_the_statements_for_a_cluster_are_those_that_were_looked_at() -> None:
    """After a change that is meant, write what `rendered()` gives."""
    assert rendered() == GOLDEN.read_text(encoding="utf-8")


def test_every_table_replicates_and_is_made_on_all_servers() -> None:
    made = [text for text in map(statement, names()) if text.startswith("CREATE TABLE")]
    for text in (on_cluster(one, "recs") for one in made):
        assert " ON CLUSTER 'recs'" in text
        assert " AS " in text or re.search(r"ENGINE = Replicated\w*MergeTree", text)


def test_without_a_cluster_no_statement_changes() -> None:
    for path in SQL_FOLDER.glob("*/*.sql"):
        text = statement(f"{path.parent.name}/{path.stem}")
        assert on_cluster(text, "") == text


def test_the_engine_parses_every_statement_for_a_cluster_and_of_every_role(clickhouse_url: str) -> None:
    texts = [on_cluster(statement(name), "{cluster}") for name in names()]
    texts += [part for role in ROLES for part in grants(role)]
    with clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False) as client:
        for text in texts:
            ((formatted,),) = client.query(
                "SELECT formatQuerySingleLine({text:String})", parameters={"text": text}
            ).result_rows
            assert formatted


def test_a_role_has_a_quota_a_profile_a_user_and_rights_on_tables_that_there_are() -> None:
    tables = {file.split("/")[0].removesuffix("_v1") for file in migrate.steps()} | {"migrations"}
    for role in ROLES:
        text = "\n".join(grants(role))
        for made in ("ROLE IF NOT EXISTS", "SETTINGS PROFILE OR REPLACE", "QUOTA OR REPLACE", "USER IF NOT EXISTS"):
            assert f"CREATE {made} recs_{role}" in text
        assert "WITH REPLACE OPTION" in text
        assert "GRANT OPTION" not in text
        named = {name.removesuffix("_staging") for name in re.findall(r" ON (\w+)\b(?!\.)", text)}
        assert named <= tables, role


@pytest.mark.parametrize("wrong", ["a'b", "{cluster", "x y", "{}"])
def test_a_cluster_s_name_that_could_be_sql_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="clickhouse_cluster"):
        Settings(clickhouse_cluster=wrong)
