"""A folder's YAML files as models, and documents from elsewhere; what is wrong is told with file, line and field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from data_contracts.errors import InputError

Model = TypeVar("Model", bound=BaseModel)
PROPOSED = "document"  # what errors call a document that is not in force yet


class DocumentError(InputError):
    """`where`: the field, by its dotted path; "" for the whole document. `path`: the file, or what stands for it."""

    def __init__(self, path: Path, line: int, where: str, why: str) -> None:
        super().__init__(f"{path.name}:{line}: {f'{where}: ' if where else ''}{why}")
        self.path, self.line, self.where, self.why = path, line, where, why


@dataclass(frozen=True)
class Document:
    """`lines`: where each field stands, by its dotted path; "" is the document."""

    path: Path
    lines: Mapping[str, int]

    def refusal(self, where: str, why: str) -> DocumentError:
        place = where
        while place not in self.lines and "." in place:
            place = place.rpartition(".")[0]
        return DocumentError(self.path, self.lines.get(place, self.lines.get("", 1)), where, why)


def documents_in(folder: Path, model: type[Model]) -> Sequence[tuple[Document, Model]]:
    """In the order of their names. Raises InputError for the first file that is no such model."""
    return [_read(path, model) for path in sorted(folder.glob("*.yaml"))]


def document_of(text: str, name: str, model: type[Model]) -> tuple[Document, Model]:
    """A document that came otherwise than as a file; errors call it by this name. Raises InputError.

    Aliases are refused: a few lines of them are gigabytes.
    """
    path = Path(name.replace("/", "_"))
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):
                raise DocumentError(path, token.start_mark.line + 1, "", "has an alias: write it out")
    except yaml.YAMLError:
        pass  # told below, with its line
    return _parsed(path, text, model)


def as_document(model: BaseModel) -> str:
    """YAML that is read as the same model."""
    said = model.model_dump(mode="json", exclude_none=True)
    return str(yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=120))


def _read(path: Path, model: type[Model]) -> tuple[Document, Model]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(path, 1, "", f"is no YAML: {error}") from error
    return _parsed(path, text, model)


def _parsed(path: Path, text: str, model: type[Model]) -> tuple[Document, Model]:
    try:
        document = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = _lines(document, path) if isinstance(document, yaml.MappingNode) else {}
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DocumentError(path, line, "", f"is no YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DocumentError(path, 1, "", f"is no YAML: {error}") from error
    file = Document(path, lines)
    if not lines:
        raise file.refusal("", "is no mapping of fields")
    try:
        return file, model.model_validate(content)
    except ValidationError as error:
        raise file.refusal(*_first_fault(error.errors()[0])) from error


def _first_fault(fault: Any) -> tuple[str, str]:
    """Field and complaint; what a whole document is accused of begins with its field."""
    where, what = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
    if where:
        return where, what
    field, _, why = what.partition(": ")
    return field, why


def _lines(node: yaml.Node, path: Path, prefix: str = "") -> dict[str, int]:
    """Line of every field and list entry. Raises InputError for a field that stands twice, of which YAML would take the
    last, and for a day that no calendar has, of which it would not say where.
    """
    lines = {prefix: node.start_mark.line + 1}
    if node.tag == "tag:yaml.org,2002:timestamp" and not _is_date(node.value):
        raise DocumentError(path, lines[prefix], prefix, f"{node.value} is no date")
    entries: list[tuple[str, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        entries = [(str(key.value), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        entries = [(str(number), value, value) for number, value in enumerate(node.value)]
    for name, key, value in entries:
        place = f"{prefix}.{name}" if prefix else name
        if place in lines:
            raise DocumentError(path, key.start_mark.line + 1, place, "stands twice in the file")
        lines |= _lines(value, path, place) | {place: key.start_mark.line + 1}
    return lines


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
