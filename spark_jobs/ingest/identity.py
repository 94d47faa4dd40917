"""Who a row is about: client ids to random internal ids through the crosswalk, and nobody who was erased.

Exports may be keyed by `client_id`, a text, instead of `user_id`. Its HMAC finds the internal id in
`identity.crosswalk`; a client never seen before gets a random 63-bit one. The crosswalk is written before anything
that uses it and then read back, so an ingest that was killed leaves no client with two ids. The client id itself
reaches neither table, quarantine, log nor error: it is dropped with the frame that it was read into.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING

import pandas as pd
from delta.exceptions import ConcurrentAppendException
from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import PandasUDFType, pandas_udf

from data_contracts.columns import CLIENT_ID, USER_ID
from data_contracts.errors import BusyError, InputError
from data_contracts.identity import BUCKETS, LONGEST_CLIENT_ID, IdKind, KeyChain
from data_contracts.tables import contract
from spark_jobs.lake.tables import empty_table, read_table, table_exists, table_uri, write_table

if TYPE_CHECKING:
    from pyspark.sql._typing import UserDefinedFunctionLike

CROSSWALK, ERASURES = "identity.crosswalk", "identity.erasures"
HMAC, KEY_VERSION = "hmac", "key_version"
_TRIES = 3
Series = pd.Series


@dataclass(frozen=True)
class Identities:
    """The people of a lake, under the keys of this installation."""

    spark: SparkSession
    lake: str
    keys: KeyChain

    def require_current_keys(self) -> None:
        """Raises InputError for keys that are not those of the lake, or were not rotated to."""
        for name in (CROSSWALK, ERASURES):
            for row in read_table(self.spark, self.lake, name).select(KEY_VERSION).distinct().collect():
                if self.keys.position(row[0]) < len(self.keys.keys):
                    raise InputError(f"{name} is hashed with an earlier key: run recs identity rotate first")

    def enrol(self, deliveries: Iterable[DataFrame]) -> int:
        """Give every client of these raw frames an internal id. Returns how many are new.

        Raises BusyError when somebody else keeps enrolling at the same time, which no lake with a lock allows.
        """
        hashed = [frame.select(self.client_hmac().alias(HMAC)) for frame in deliveries]
        if not hashed:
            return 0
        if not table_exists(self.lake, CROSSWALK):
            write_table(empty_table(self.spark, CROSSWALK), self.lake, CROSSWALK)
        clients = reduce(DataFrame.union, hashed).where(F.col(HMAC).isNotNull()).distinct()
        clients = clients.join(self._erased(IdKind.CLIENT), HMAC, "left_anti")
        for _ in range(_TRIES):
            drawn = self._drawn(clients.join(self._crosswalk(), HMAC, "left_anti"))
            new = drawn.count()
            if not new or self._added(drawn):
                return new
        raise BusyError(f"{table_uri(self.lake, CROSSWALK)}: somebody else is enrolling clients: wait, then run again")

    def client_hmac(self) -> Column:
        """Of a frame with client ids; null where the id is none (see `client_fault`)."""
        return F.when(self.client_fault().isNull(), _digest(self.keys, IdKind.CLIENT)(F.trim(F.col(CLIENT_ID))))

    @staticmethod
    def client_fault() -> Column:
        """Why a client id is none, null for a good one. Blanks around it are padding of the export."""
        length = F.length(F.trim(F.col(CLIENT_ID)))
        return F.when(
            length.isNull() | ~length.between(1, LONGEST_CLIENT_ID), F.lit(f"{CLIENT_ID} is null, empty or too long")
        )

    def with_user_ids(self, raw: DataFrame) -> DataFrame:
        """A raw frame of enrolled clients with their internal ids beside; the erased are left out."""
        hashed = raw.select("*", "_metadata", self.client_hmac().alias(HMAC))
        known = hashed.join(self._erased(IdKind.CLIENT), HMAC, "left_anti")
        return known.join(self._crosswalk(), HMAC, "left").drop(HMAC)

    def without_erased(self, rows: DataFrame) -> tuple[DataFrame, int]:
        """The rows of everybody who was not erased, and how many the others have."""
        if USER_ID not in rows.columns or not table_exists(self.lake, ERASURES):
            return rows, 0
        register = read_table(self.spark, self.lake, ERASURES).where(F.col("kind") == IdKind.USER.value)
        buckets = [row[0] for row in register.select("bucket").distinct().collect()]
        maybe = rows.where(F.pmod(F.col(USER_ID), F.lit(BUCKETS)).isin(buckets)).groupBy(USER_ID).count()
        hashed = maybe.withColumn(HMAC, _digest(self.keys, IdKind.USER)(F.col(USER_ID).cast("string")))
        erased = hashed.join(F.broadcast(register.select(HMAC)), HMAC, "left_semi").select(USER_ID, "count").collect()
        if not erased:
            return rows, 0
        people = self.spark.createDataFrame([(row[0],) for row in erased], f"{USER_ID} bigint")
        return rows.join(F.broadcast(people), USER_ID, "left_anti").select(*rows.columns), sum(row[1] for row in erased)

    def _drawn(self, new: DataFrame) -> DataFrame:
        """With ids that nobody has. Fixed by a checkpoint: a random column is otherwise drawn again at each use."""
        for _ in range(_TRIES):
            drawn = new.withColumn(USER_ID, _random_id(F.col(HMAC))).localCheckpoint()
            taken = self._crosswalk().select(USER_ID).union(drawn.select(USER_ID)).groupBy(USER_ID).count()
            if taken.where("count > 1").isEmpty():
                return drawn
        raise RuntimeError("63 random bits keep repeating: the machine's source of randomness is broken")

    def _added(self, drawn: DataFrame) -> bool:
        """False when somebody else wrote meanwhile. A merge, unlike an append, notices that."""
        rows = drawn.withColumn(KEY_VERSION, F.lit(self.keys.version))
        target = DeltaTable.forPath(self.spark, table_uri(self.lake, CROSSWALK)).alias("kept")
        try:
            target.merge(rows.alias("new"), f"kept.{HMAC} = new.{HMAC}").whenNotMatchedInsertAll().execute()
        except ConcurrentAppendException:
            return False
        return True

    def _crosswalk(self) -> DataFrame:
        return read_table(self.spark, self.lake, CROSSWALK).select(HMAC, USER_ID)

    def _erased(self, kind: IdKind) -> DataFrame:
        return F.broadcast(read_table(self.spark, self.lake, ERASURES).where(F.col("kind") == kind.value).select(HMAC))


def rotate(people: Identities) -> dict[str, int]:
    """Hash again, with the keys added since, what the crosswalk and the register of the erased keep.

    Returns the rows rewritten by table. Each table is one commit and every row tells its version, so a rotation that
    was killed is simply run again. Raises InputError for keys that do not continue the lake's.
    """
    done = {}
    for name in (CROSSWALK, ERASURES):
        rows = read_table(people.spark, people.lake, name)
        versions = [row[0] for row in rows.select(KEY_VERSION).distinct().collect()]
        stale = [version for version in versions if people.keys.position(version) < len(people.keys.keys)]
        done[name] = rows.where(F.col(KEY_VERSION).isin(stale)).count() if stale else 0
        if stale:
            again = _continued(people.keys)(F.col(HMAC), F.col(KEY_VERSION))
            write_table(
                rows.withColumn(HMAC, again).withColumn(KEY_VERSION, F.lit(people.keys.version)), people.lake, name
            )
    return done


def register_erased(people: Identities, user_id: int, *, on: date) -> bytes:
    """Remember that a person is erased, under the internal id and the client id it stands for. Returns the former's
    hash. Doing it twice changes nothing.
    """
    hashed = people.keys.digest(IdKind.USER, str(user_id))
    row = (IdKind.USER.value, hashed, user_id % BUCKETS, on, people.keys.version)
    clients = read_table(people.spark, people.lake, CROSSWALK).where(F.col(USER_ID) == user_id)
    rows = people.spark.createDataFrame([row], contract(ERASURES).ddl).union(
        clients.select(F.lit(IdKind.CLIENT.value), HMAC, F.lit(None).cast("int"), F.lit(on), F.lit(people.keys.version))
    )
    if not table_exists(people.lake, ERASURES):
        write_table(empty_table(people.spark, ERASURES), people.lake, ERASURES)
    known = read_table(people.spark, people.lake, ERASURES).select("kind", HMAC)
    new = rows.join(known, ["kind", HMAC], "left_anti").select(*contract(ERASURES).column_names).localCheckpoint()
    if not new.isEmpty():
        new.write.format("delta").mode("append").save(table_uri(people.lake, ERASURES))
    return hashed


# Keys travel in the functions' closures: never in a plan, a parameter or, as a broadcast would, a file.


def _digest(keys: KeyChain, kind: IdKind) -> "UserDefinedFunctionLike":
    return _udf(lambda values: values.map(lambda value: None if value is None else keys.digest(kind, value)), "binary")


def _continued(keys: KeyChain) -> "UserDefinedFunctionLike":
    def continued(digests: Series, versions: Series) -> Series:
        pairs = zip(digests, versions, strict=True)
        return pd.Series([keys.continued(bytes(digest), made_by=version) for digest, version in pairs], dtype=object)

    return _udf(continued, "binary")


def _random_id(beside: Column) -> Column:
    """63 bits of the operating system's randomness a row."""

    def draw(rows: Series) -> Series:
        return pd.Series([secrets.randbits(63) for _ in rows], dtype="int64")

    return _udf(draw, "bigint").asNondeterministic()(beside)


def _udf(function: Callable[..., Series], type_: str) -> "UserDefinedFunctionLike":
    return pandas_udf(function, type_, PandasUDFType.SCALAR)
