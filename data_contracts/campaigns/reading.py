"""Campaigns' files, read; whatever is wrong in them is told with file and line."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from data_contracts.campaigns.model import Campaign
from data_contracts.catalogue import Catalogue, Product
from data_contracts.errors import InputError

SHIPPED = Path(__file__).parent


@dataclass(frozen=True)
class Known:
    """What campaigns may speak of. `segments` None: nobody has been segmented yet."""

    catalogue: Catalogue
    segments: Collection[int] | None = None


@dataclass(frozen=True)
class _File:
    """`lines`: where each field stands, by its dotted path; "" is the document."""

    path: Path
    lines: Mapping[str, int]

    def refusal(self, where: str, why: str) -> InputError:
        place = where
        while place not in self.lines and "." in place:
            place = place.rpartition(".")[0]
        line = self.lines.get(place, self.lines.get("", 1))
        return InputError(f"{self.path.name}:{line}: {f'{where}: ' if where else ''}{why}")


def campaigns_in(folder: Path | None, *, known: Known | None = None) -> Sequence[Campaign]:
    """By name; None for those that ship. `known` None: products and segments are not looked up.

    Raises InputError with file, line and field for the first campaign that contradicts itself, another or `known`.
    """
    folder = folder or SHIPPED
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder of campaigns")
    found = [_read(path) for path in sorted(folder.glob("*.yaml"))]
    names: dict[str, Path] = {}
    for file, one in found:
        if one.name in names:
            raise file.refusal("name", f"{one.name} is the name of {names[one.name].name} too")
        names[one.name] = file.path
    for file, one in found:
        for where, why in _faults(one, names=names, known=known):
            raise file.refusal(where, why)
    return sorted((one for _, one in found), key=lambda one: one.name)


def _read(path: Path) -> tuple[_File, Campaign]:
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = _lines(document, path) if isinstance(document, yaml.MappingNode) else {}
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path.name}:{line}: is no YAML: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}:1: is no YAML: {error}") from error
    file = _File(path, lines)
    if not lines:
        raise file.refusal("", "is no mapping of fields")
    try:
        return file, Campaign.model_validate(content)
    except ValidationError as error:
        raise file.refusal(*_first_fault(error.errors()[0])) from error


def _first_fault(fault: Any) -> tuple[str, str]:
    """Field and complaint; what a whole campaign is accused of begins with its field."""
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
        raise InputError(f"{path.name}:{lines[prefix]}: {prefix}: {node.value} is no date")
    entries: list[tuple[str, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        entries = [(str(key.value), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        entries = [(str(number), value, value) for number, value in enumerate(node.value)]
    for name, key, value in entries:
        place = f"{prefix}.{name}" if prefix else name
        if place in lines:
            raise InputError(f"{path.name}:{key.start_mark.line + 1}: {place}: stands twice in the file")
        lines |= _lines(value, path, place) | {place: key.start_mark.line + 1}
    return lines


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _faults(one: Campaign, *, names: Collection[str], known: Known | None) -> Iterator[tuple[str, str]]:
    unknown = sorted(one.exclusive_with - set(names))
    if unknown:
        yield "exclusive_with", f"there is no campaign {', '.join(unknown)}"
    if known is not None:
        yield from _unknown(one, known)


def _unknown(one: Campaign, known: Known) -> Iterator[tuple[str, str]]:
    about = [product for product in known.catalogue.products if one.advertises(product)]
    subject = "product" if one.product is not None else "families"
    if not about:
        names = one.product or ", ".join(sorted(one.families or ()))
        yield subject, f"the catalogue {known.catalogue.version} has no {names}"
        return
    offered = one.products(known.catalogue)
    if not offered:
        yield "channel", f"nothing of what it advertises is offered in {one.channel}"
    elif not any(_sold_during(product, one) for product in offered):
        yield subject, "is not on sale on any of the campaign's days"
    strange = sorted((one.audience.segments or frozenset()) - set(known.segments or one.audience.segments or ()))
    if strange:
        yield "audience.segments", f"there is no segment {', '.join(map(str, strange))}"


def _sold_during(product: Product, one: Campaign) -> bool:
    has_begun = product.on_sale_from is None or product.on_sale_from < one.end
    return has_begun and (product.on_sale_to is None or product.on_sale_to >= one.start)
