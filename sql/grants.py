"""Users with least rights: one a role, `sql/grants/<role>.sql`, each with a role, a profile and a quota of its name."""

from collections.abc import Mapping

from pydantic import SecretStr

from data_contracts.errors import InputError
from sql.client import Store
from sql.statements import SQL_FOLDER, statement

ROLES = tuple(sorted(path.stem for path in (SQL_FOLDER / "grants").glob("*.sql")))


def grants(role: str) -> tuple[str, ...]:
    """Its statements in order. Raises InputError for a role that there is not."""
    if role not in ROLES:
        raise InputError(f"no role {role}; there are: {', '.join(ROLES)}")
    return tuple(part.strip() for part in statement(f"grants/{role}").split(";") if part.strip())


def apply_grants(store: Store, passwords: Mapping[str, SecretStr]) -> None:
    """Make roles and users as the files say, and take away what they no longer say. Safe to run again.

    Raises InputError for an unknown role, an empty password, or a user who may not.
    """
    for role, password in passwords.items():
        given = password.get_secret_value()
        if not given:
            raise InputError(f"the password of role {role} is empty")
        for text in grants(role):
            store.run_text(text, what=f"grants/{role}", password=given)
