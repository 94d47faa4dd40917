"""What is known of registered models: versions, where their files lie, and which of them is champion.

MLflow's registry decides; `models/aliases.json` in the lake is what it said last, so that a night can score while the
registry is away, and so that nobody removes files which are still needed.
"""

from collections.abc import Iterator
from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict, TypeAdapter

# `offers` holds the ranker of offers and the retrieval model that it needs. Rankers are what every night scores with;
# `uplift` is there only where campaigns hold out enough users.
RANKERS = ("products", "offers")
UPLIFT = "uplift"
MODEL_NAMES = (*RANKERS, UPLIFT)
ALIASES_FILE = "models/aliases.json"
VERSIONS_FOLDER = "models/versions"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelVersion(_Value):
    """`files`: SHA-256 by path below `uri`. `features` and `contracts` are those of the data that it was trained on;
    `settings` say what its probability is about. `drifted`: features that had moved since its training window when
    it was trained. `metrics`: on the newest fold, with the ends of 95 % intervals. `run`: its training in MLflow, a
    page of the server or, where the registry is a file, `runs:/<id>`.
    """

    name: str
    version: int = 0
    as_of: date
    uri: str
    files: dict[str, str]
    features: tuple[str, ...]
    contracts: dict[str, str]
    settings: dict[str, str]
    drifted: int = 0
    metrics: dict[str, float] = {}
    run: str = ""

    @property
    def told(self) -> str:
        return f"version {self.version} of {self.as_of}"


class Aliases(_Value):
    """Of one model. `previous`: champion before the present one; `last_trained`: as-of of the newest version."""

    champion: ModelVersion | None = None
    challenger: ModelVersion | None = None
    previous: ModelVersion | None = None
    last_trained: date | None = None

    @property
    def kept(self) -> Iterator[ModelVersion]:
        """Versions whose files must stay."""
        yield from (one for one in (self.champion, self.challenger, self.previous) if one is not None)


class DataFacts(_Value):
    """What tonight's data is to one model, in the words of `ModelVersion`."""

    features: tuple[str, ...]
    contracts: dict[str, str]
    settings: dict[str, str]

    def against(self, model: ModelVersion) -> str | None:
        """Why the model cannot score this data; None where it can. Of contracts the major version counts."""
        absent = sorted(set(model.features) - set(self.features))
        new = sorted(set(self.features) - set(model.features))
        if absent or new:
            lost, found = ", ".join(absent[:5]) or "none", ", ".join(new[:5]) or "none"
            return f"its feature list is another one (gone: {lost}; new: {found})"
        for table, version in self.contracts.items():
            then = model.contracts.get(table, "")
            if then.partition(".")[0] != version.partition(".")[0]:
                return f"it was trained on {table} {then or 'unknown'}, the data is {version}"
        for setting, value in self.settings.items():
            if model.settings.get(setting) != value:
                return f"its {setting} is {model.settings.get(setting)}, the night's is {value}"
        return None


class NightModels(_Value):
    """What a night scores with, and why: `night.json` beside its models. `used` has no entry where there is no ranker.

    `registers`: whether what is trained goes to the registry. `warnings`: worth a person's look. `tried`: challengers
    that score as a variant, for those whom an experiment or outbound gives their lists.
    """

    train: bool
    why: str
    registers: bool = False
    used: dict[str, ModelVersion] = {}
    tried: dict[str, ModelVersion] = {}
    warnings: tuple[str, ...] = ()

    def with_used(self, name: str, version: ModelVersion) -> Self:
        return self.model_copy(update={"used": {**self.used, name: version}})

    def with_warning(self, told: str) -> Self:
        return self.model_copy(update={"warnings": (*self.warnings, told)})


NIGHT_FILE = "night.json"
_ALIASES = TypeAdapter(dict[str, Aliases])


def aliases_to_json(aliases: dict[str, Aliases]) -> bytes:
    return _ALIASES.dump_json(aliases, indent=1)


def aliases_from_json(content: bytes) -> dict[str, Aliases]:
    return _ALIASES.validate_json(content)
