"""Catalogue, rules and reasons from the reference folder, validated whole before anything is written."""

from dataclasses import dataclass
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from data_contracts.catalogue import Catalogue, Reasons, Rules, check_references
from data_contracts.errors import InputError
from spark_jobs.lake.files import file_exists, read_bytes

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Reference:
    catalogue: Catalogue
    rules: Rules
    reasons: Reasons


def read_reference(folder: str) -> Reference:
    """The three documents. Raises InputError for one that is missing, unreadable or contradicts itself."""
    root = folder.rstrip("/")
    catalogue = _document(f"{root}/catalogue.yaml", Catalogue)
    rules = _document(f"{root}/rules.yaml", Rules)
    reasons = _document(f"{root}/reasons.yaml", Reasons)
    try:
        check_references(catalogue, rules)
    except ValueError as error:
        raise InputError(f"{root}/rules.yaml: {error}") from error
    return Reference(catalogue, rules, reasons)


def _document(uri: str, model: type[_Model]) -> _Model:
    if not file_exists(uri):
        raise InputError(f"{uri}: no such file; the reference folder needs catalogue.yaml, rules.yaml and reasons.yaml")
    try:
        return model.model_validate(yaml.safe_load(read_bytes(uri)))
    except yaml.YAMLError as error:
        raise InputError(f"{uri}: not readable as YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or model.__name__
        raise InputError(f"{uri}: {where}: {first['msg'].removeprefix('Value error, ')}") from error
