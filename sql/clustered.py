"""The same statements for a cluster of replicas: tables are made on all of them, with engines that replicate."""

import re

_CREATE_TABLE = re.compile(r"^(CREATE (?:TABLE|MATERIALIZED VIEW) IF NOT EXISTS \w+)")
_CREATE_DATABASE = re.compile(r"^(CREATE DATABASE IF NOT EXISTS \S+)$")
_KILL = re.compile(r"^(KILL QUERY)\b")
_ENGINE = re.compile(r"\bENGINE = (\w*MergeTree)\b")

# A change of a partition or column is over when every replica has made it; and an insert is never taken for a repeat
# of an equal one, as on one server: tables here bear repeats.
SETTINGS = {"alter_sync": 2, "insert_deduplicate": 0}


def on_cluster(text: str, cluster: str) -> str:
    """The statement for a cluster by its name or macro, such as `{cluster}`; "" changes nothing.

    What replicates by itself (inserts, partitions, mutations, columns) is left as it is.
    """
    if not cluster:
        return text
    where = f"\\1 ON CLUSTER '{cluster}'"
    for pattern in (_CREATE_TABLE, _CREATE_DATABASE, _KILL):
        text = pattern.sub(where, text, count=1)
    return _ENGINE.sub(r"ENGINE = Replicated\1", text, count=1) if text.startswith("CREATE TABLE") else text
