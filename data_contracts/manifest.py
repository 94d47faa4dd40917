"""What a snapshot says of itself: `manifest.json`, written last, so a folder without one is not a snapshot."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_contracts.errors import InputError

MANIFEST_FILE = "manifest.json"
# Beside the manifest of a snapshot that its gate stopped and two people published.
OVERRIDE_FILE = "override.json"


class _Value(BaseModel):
    # What a later version says besides is passed over, so that an image may go back by one.
    model_config = ConfigDict(frozen=True, extra="ignore")


class TableCounts(_Value):
    """Size and content of one table; how the checksum is made: data_contracts/checksums.py."""

    rows: int = Field(ge=0)
    checksum: str = Field(pattern=r"^[0-9a-f]{16}$")


class GateCheck(_Value):
    """One question the publish gate asked: `value` against `limit`, `why` in words."""

    name: str
    passed: bool
    value: float | None = None
    limit: float | None = None
    why: str = ""


class GateVerdict(_Value):
    passed: bool
    checks: tuple[GateCheck, ...] = ()

    @classmethod
    def of(cls, checks: Iterable[GateCheck]) -> Self:
        """Passed when every check did."""
        every = tuple(checks)
        return cls(passed=all(check.passed for check in every), checks=every)

    @property
    def failures(self) -> tuple[GateCheck, ...]:
        return tuple(check for check in self.checks if not check.passed)


class Versions(_Value):
    """What the snapshot was made with. `inputs`: Delta version a table; `models`: SHA-256 a model file; `registered`:
    which version of each registered model scored it.
    """

    inputs: dict[str, int] = {}
    features: str = ""
    models: dict[str, str] = {}
    registered: dict[str, str] = {}
    catalogue: str = ""
    rules: str = ""
    reasons: str = ""
    contracts: dict[str, str] = {}


class Erasure(_Value):
    """A person was taken out after the snapshot was made: counts and checksums are those without them.

    `receipt`: the person's keyed hash, as on the receipt of `recs erase`.
    """

    receipt: str
    at: datetime


class Manifest(_Value):
    """`created_at`, and `at` of erasures, are the only values a clock gave; checksums know nothing of them."""

    snapshot_id: str
    as_of: date
    cut_off: datetime
    created_at: datetime
    tables: dict[str, TableCounts]
    versions: Versions = Versions()
    gate: GateVerdict
    erasures: tuple[Erasure, ...] = ()

    def to_json(self) -> str:
        """The same manifest gives the same text."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str = MANIFEST_FILE) -> Self:
        """Raises InputError naming `where`."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the document"
            raise InputError(f"{where} is not a snapshot's manifest: {field}: {first['msg']}") from error


class Override(_Value):
    """A snapshot was published although these checks had failed. Nights read it: of what was let pass, this night is
    the measure from then on.
    """

    snapshot_id: str
    lists_checksum: str
    checks: tuple[str, ...]
    asked_by: str
    approved_by: str
    reason: str
    at: datetime

    def let_pass(self, manifest: Manifest) -> frozenset[str]:
        """The checks of the manifest that failed and were let pass: none where it was made anew since, or sealed again
        with another failure. A person who was taken out makes it no other snapshot.
        """
        failed = frozenset(check.name for check in manifest.gate.failures)
        is_same = manifest.tables["lists"].checksum == self.lists_checksum
        is_erased_from = any(erasure.at > self.at for erasure in manifest.erasures)
        return failed if (is_same or is_erased_from) and failed <= {*self.checks} else frozenset()
