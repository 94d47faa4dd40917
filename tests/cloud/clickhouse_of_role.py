"""`python -m tests.cloud.clickhouse_of_role --path DIR --port N`: the embedded engine with the rights of one role.

The engine has one user, whose rights its configuration may name: so those of `sql/grants/<role>.sql`, where
`confine` has put them beside the folder.
"""

import re
from pathlib import Path
from typing import Any

from infra.local.clickhouse import __main__ as server
from infra.local.clickhouse import engine
from sql.grants import grants

_USERS = (
    "<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default><password/>"
    "<networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>"
    "<grants><query>{granted}</query></grants></default></users></clickhouse>"
)

# The server here enters a database by USE, which needs a right; a real one is told the database with each request.
_OF_THE_SERVER = "SHOW DATABASES ON default.*"


def confine(folder: Path, role: str, *, database: str = "recs") -> None:
    """Whoever opens the folder from now on, as this module does, may do what the role may in this database."""
    [text] = [one for one in grants(role) if one.startswith("GRANT") and " TO recs_" not in one.splitlines()[0]]
    given = text.partition("\nTO ")[0]
    placed = re.sub(r" ON (\*|\w+)(?=[,\n]|$)", rf" ON {database}.\1", given)
    users = folder.with_suffix(".users.xml")
    users.write_text(_USERS.format(granted=" ".join(f"{placed}, {_OF_THE_SERVER}".split())))
    folder.with_suffix(".xml").write_text(f"<clickhouse><users_config>{users}</users_config></clickhouse>")


class _Confined:
    """The library, which reads the configuration beside a folder that it opens."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def connect(self, path: str) -> Any:
        return self._library.connect(f"{path}?config-file={Path(path).with_suffix('.xml')}")


if __name__ == "__main__":
    engine._EXTENSION = _Confined(engine._EXTENSION)
    server.main()
