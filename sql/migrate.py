"""Creates and changes tables: the files of `migrations.yaml`, in order, each once."""

import hashlib
from dataclasses import replace

import yaml

from data_contracts.errors import InputError
from sql.client import Address, Store, connected
from sql.statements import SQL_FOLDER, statement
from sql.states import State, snapshot_states
from sql.user_rows import fill_user_rows

_USER_ROWS = "user_rows_v1/create"


def migrate(address: Address) -> tuple[str, ...]:
    """Bring a database up to date, making it first if need be. Returns the steps applied now; none when run again.

    Raises InputError when a file that was applied has changed since.
    """
    with connected(replace(address, database="default")) as store:
        # Where somebody else makes databases, the right to may be lacking.
        if not store.rows("migrations_v1/database_there", database=address.database)[0][0]:
            store.run("migrations_v1/create_database", database=address.database)
    with connected(address) as store:
        store.run("migrations_v1/create")
        applied = {step: (file, digest) for step, file, digest in store.rows("migrations_v1/applied")}
        done = []
        for step, file in enumerate(steps(), start=1):
            digest = hashlib.sha256(statement(file).encode()).hexdigest()
            if step not in applied:
                store.run(file)
                if file == _USER_ROWS:
                    _fill_user_rows(store)
                store.run("migrations_v1/put", step=step, file=file, digest=digest)
                done.append(file)
            elif applied[step] != (file, digest):
                raise InputError(
                    f"sql/{file}.sql (step {step}) has changed since it was applied: add a new step instead"
                )
    return tuple(done)


def _fill_user_rows(store: Store) -> None:
    """Of snapshots that were loaded before there was such a table."""
    for entry in snapshot_states(store):
        if entry.state in (State.LOADED, State.VERIFIED):
            fill_user_rows(store, entry.snapshot_id)


def steps() -> list[str]:
    """The files in the order in which they are applied; a file's number is its place."""
    files: list[str] = yaml.safe_load((SQL_FOLDER / "migrations.yaml").read_text(encoding="utf-8"))
    return files
