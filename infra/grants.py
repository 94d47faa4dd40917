"""The command `recs grants`: ClickHouse's users with least rights."""

from typing import Annotated

import typer
from pydantic import SecretStr

from data_contracts.errors import InputError
from data_contracts.lockbox import LockboxSecret
from data_contracts.settings import Settings
from infra.console import console


def grants(
    apply: Annotated[
        list[str] | None,
        typer.Option(
            help="ROLE=lockbox:ID#key: make this role and its user, whose password lies there; may be given again."
        ),
    ] = None,
) -> None:
    """Print what each of ClickHouse's users may do, as SQL, or make some of them so.

    Users are recs_load (the night), recs_look_up (the service), recs_overlay and recs_operator (people). Applied
    again it changes their passwords to what Lockbox has, and takes away rights that the files no longer give.

    Examples: `recs grants`, `recs grants --apply look_up=lockbox:e6q1abc#api --apply load=lockbox:e6q1abc#load`
    """
    from sql.client import Address, connected
    from sql.grants import ROLES, apply_grants
    from sql.grants import grants as statements

    if not apply:
        for role in ROLES:
            console.print(";\n\n".join(statements(role)) + ";\n", soft_wrap=True, markup=False)
        return
    settings = Settings()
    passwords = dict(_password(settings, given) for given in apply)
    for role in passwords:
        statements(role)
    with connected(Address.of(settings)) as store:
        apply_grants(store, passwords)
    console.print(f"made so: {', '.join(f'recs_{role}' for role in passwords)}")


def _password(settings: Settings, given: str) -> tuple[str, SecretStr]:
    role, _, named = given.partition("=")
    try:
        secret = settings.secret(named)
    except ValueError as error:
        raise InputError(f"--apply {role}=…: {error}") from error
    if not isinstance(secret, LockboxSecret):
        raise InputError(f"--apply {role}=…: a password is not given here; put it into Lockbox and name it")
    return role, secret
