"""Suppressions: who must not be addressed, where, about what, why and until when; and how one is lifted. Pure.

One is one event a user and channel, of a kind that the overlay knows, and so is its lift; what either does is decided
there (`overlay.kinds`).
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_contracts.csv_text import csv_row, without_apostrophe
from data_contracts.errors import InputError
from data_contracts.overlay.rows import micros
from data_contracts.vocabulary import Channel, Family, SuppressionEvent, SuppressionKind

ALL: Literal["all"] = "all"
_COLUMNS = ("user_id", "kind", "channel", "product_id", "family", "reason", "until")
_NEEDED = {"user_id", "kind"}
# Stand before the columns of a file of refused rows; in one that is sent again they say nothing.
_TOLD = ("line", "refusal")
_PRINTABLE = r"^[^\x00-\x1f]*$"


class Terms(BaseModel):
    """What is suppressed: everything in a channel, or there a product or offer, or a family."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: SuppressionKind
    channel: Channel | Literal["all"] = Field(ALL, description="where; all: in every channel")
    product_id: Annotated[str, Field(min_length=1, max_length=128, pattern=_PRINTABLE)] | None = Field(
        None, description="only this product or offer"
    )
    family: Family | None = Field(None, description="only products of this family")
    reason: str = Field("", max_length=500, pattern=r"^[^\x00]*$", description="kept with it")
    until: AwareDatetime | None = Field(None, description="when it ends; not given: for good")

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        if self.product_id and self.family:
            raise ValueError("family: name a product or a family, not both")
        if self.is_erasure and (self.product_id or self.family or self.until):
            raise ValueError("kind: an erasure is about everything and for good")
        return self

    @property
    def is_erasure(self) -> bool:
        return self.kind is SuppressionKind.ERASURE_REQUEST

    @property
    def channels(self) -> tuple[Channel, ...]:
        return tuple(Channel) if self.channel == ALL else (Channel(self.channel),)


class _Row(Terms):
    user_id: int = Field(ge=0, le=2**63 - 1)


@dataclass(frozen=True)
class Suppression:
    user_id: int
    terms: Terms


@dataclass(frozen=True)
class RefusedRow:
    """`line`: of the file, its header is line 1."""

    line: int
    reason: str


@dataclass(frozen=True)
class SuppressionFile:
    """`taken` by line. `columns` and `rows`, by line, are its own text; `columns` does not reach a row's end where
    that has too many fields.
    """

    taken: tuple[tuple[int, Suppression], ...]
    refused: tuple[RefusedRow, ...]
    columns: tuple[str, ...]
    rows: Mapping[int, tuple[str, ...]]

    def refusing(self, refused: Iterable[RefusedRow]) -> Self:
        """Without these lines too."""
        more = {one.line: one for one in refused}
        left = tuple(one for one in self.taken if one[0] not in more)
        told = tuple(sorted((*self.refused, *more.values()), key=lambda one: one.line))
        return replace(self, taken=left, refused=told)

    def refused_csv(self) -> str:
        """The refused rows as they came, each after its line and why, in a form that `read_csv` takes once mended."""
        rows = ((str(one.line), one.reason, *self.rows[one.line]) for one in self.refused)
        return "".join(csv_row(list(row)) for row in ((*_TOLD, *self.columns), *rows))


def read_csv(lines: Iterable[str], *, now: datetime) -> SuppressionFile:
    """A CSV file with a header; bad rows are refused one by one. Raises InputError for a header that cannot be read.

    A file of refused rows may come back as it is: what was told in it is passed over.
    """
    raw: list[str] = []
    reader = csv.DictReader(_noting(lines, raw), restkey="")
    header = reader.fieldnames = _header(reader)
    columns = tuple(name for name in header if name not in _TOLD)
    taken: list[tuple[int, Suppression]] = []
    refused: list[RefusedRow] = []
    rows: dict[int, tuple[str, ...]] = {}
    for line, row in _rows(reader, raw):
        own = row if row is None or columns == header else _own(row)
        if own is None:
            rows[line] = ("".join(raw).rstrip("\r\n"),)
        else:
            rows[line] = (*(own.get(name) or "" for name in columns), *own.get("", ()))
        why, suppression = ("it cannot be read as CSV", None) if own is None else _read(own, now)
        if suppression is None:
            refused.append(RefusedRow(line, why))
        else:
            taken.append((line, suppression))
    return SuppressionFile(tuple(taken), tuple(refused), columns, rows)


def _header(reader: "csv.DictReader[str]") -> tuple[str, ...]:
    try:
        header = tuple(name.strip().lstrip("\ufeff") for name in reader.fieldnames or ())
    except csv.Error as error:
        raise InputError(f"line 1: {error}") from error
    if unknown := sorted(set(header) - {*_COLUMNS, *_TOLD}):
        raise InputError(f"line 1: no such columns: {', '.join(unknown)[:200]}; there are {', '.join(_COLUMNS)}")
    if missing := sorted(_NEEDED - set(header)):
        raise InputError(f"line 1: these columns are missing: {', '.join(missing)}")
    return header


def _noting(lines: Iterable[str], raw: list[str]) -> Iterator[str]:
    """The lines, each put into `raw` too."""
    for line in lines:
        raw.append(line)
        yield line


def _own(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a file of refused ones, as the file was that they are of."""
    return {
        name: [*map(without_apostrophe, text)] if name == "" else text and without_apostrophe(text)
        for name, text in row.items()
        if name not in _TOLD
    }


def _rows(reader: "csv.DictReader[str]", raw: list[str]) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """By line; None for what is no CSV, whose text is in `raw`."""
    while True:
        raw.clear()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield reader.reader.line_num, None  # DictReader's own is of the last row that it could read
        else:
            yield reader.line_num, row


def _read(row: dict[str, Any], now: datetime) -> tuple[str, Suppression | None]:
    if "" in row:
        return "it has more fields than the header", None
    try:
        read = _Row.model_validate({name: text.strip() for name, text in row.items() if text and text.strip()})
    except ValidationError as error:
        return "; ".join(told(one) for one in error.errors()), None
    if why := over(read, now):
        return why, None
    return "", Suppression(read.user_id, Terms.model_validate(read.model_dump(exclude={"user_id"})))


def told(error: Any) -> str:
    """A pydantic error in one line, by field, without what was given: it may be of a person."""
    field, message = ".".join(str(part) for part in error["loc"][:1]), str(error["msg"]).removeprefix("Value error, ")
    return f"{field}: {message}" if field else message


def over(terms: Terms, now: datetime) -> str:
    """Why it would have ended before it began; "" where it has not."""
    return "until: lies in the past" if terms.until is not None and terms.until <= now else ""


def events_of(one: Suppression, *, name: str, at: datetime) -> Iterator[dict[str, Any]]:
    """As contact.suppressions has them: one a channel. `name` makes them the same when they come again."""
    terms = one.terms
    for channel in terms.channels:
        yield {
            "event_id": f"{name}/{channel.value}",
            "event_time": micros(at),
            "user_id": one.user_id,
            "event_type": _event_type(terms).value,
            "channel": channel.value,
            "kind": terms.kind.value,
            "product_id": terms.product_id,
            "family": terms.family.value if terms.family else None,
            "until": micros(terms.until.astimezone(UTC)) if terms.until else None,
            "lifts": None,
        }


def lifts_of(one: Suppression, *, name: str, at: datetime) -> Iterator[dict[str, Any]]:
    """What takes back the events that `events_of` gives for the same suppression and name."""
    for event in events_of(one, name=name, at=at):
        yield {
            **event,
            "event_id": f"lift/{event['event_id']}",
            "event_type": SuppressionEvent.LIFTED.value,
            "product_id": None,
            "family": None,
            "until": None,
            "lifts": event["event_id"],
        }


def _event_type(terms: Terms) -> SuppressionEvent:
    if terms.is_erasure:
        return SuppressionEvent.ERASURE
    if terms.product_id:
        return SuppressionEvent.PRODUCT
    return SuppressionEvent.FAMILY if terms.family else SuppressionEvent.CHANNEL
