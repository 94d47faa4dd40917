"""What may be asked of an export, by a request or by a file of RECS_STANDING_EXPORTS."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.errors import InputError
from data_contracts.vocabulary import Channel, Family, Kind, Variant
from data_contracts.yaml_files import documents_in

_MOST_EXCLUDED = 200


class ExportTerms(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: Channel
    format: Literal["parquet", "csv"] = "parquet"
    partitions: int = Field(1, ge=1, le=256, description="files, by a hash of the user's id")
    bom: bool = Field(False, description="CSV begins with a byte order mark, as spreadsheets want it")
    kind: Kind = Kind.PRODUCT
    top_k: int = Field(10, ge=1, le=100, description="most items of a user")
    send_items: int = Field(
        1,
        ge=1,
        le=100,
        description="how many of each list, from the first on, will be sent: so many are held until then",
    )
    variant: Variant = Variant.PERSONAL
    segment: int | None = Field(None, ge=0, le=32_767)
    families: frozenset[Family] = Field(frozenset(), max_length=len(Family))
    exclude: frozenset[Annotated[str, Field(min_length=1, max_length=128)]] = Field(
        frozenset(), max_length=_MOST_EXCLUDED
    )


class StandingExport(ExportTerms):
    """One that is made every morning; a day and a name are one export."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")

    def order(self, day: date) -> dict[str, Any]:
        """As the API is asked for it."""
        terms = self.model_dump(mode="json", exclude={"name"})
        return {"request_key": f"standing {self.name} {day}", **terms}


def standing_exports(folder: Path | None) -> Sequence[StandingExport]:
    """Of a folder's files, in their order; none without a folder. Raises InputError with file, line and field."""
    if folder is None:
        return ()
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder of standing exports")
    names: dict[str, str] = {}
    found = documents_in(folder, StandingExport)
    for file, one in found:
        if one.name in names:
            raise file.refusal("name", f"{one.name} is the name of {names[one.name]} too")
        names[one.name] = file.path.name
    return [one for _, one in found]
