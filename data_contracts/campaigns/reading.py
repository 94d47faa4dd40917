"""Campaigns' files, read, and documents that stand above them; what is wrong in them is told with file and line."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_contracts.campaigns.model import Campaign
from data_contracts.catalogue import Catalogue, Product
from data_contracts.errors import InputError
from data_contracts.yaml_files import PROPOSED, Document, DocumentError, document_of, documents_in

SHIPPED = Path(__file__).parent
NONE: Mapping[str, str] = {}


@dataclass(frozen=True)
class Known:
    """What campaigns may speak of. `segments` None: nobody has been segmented yet."""

    catalogue: Catalogue
    segments: Collection[int] | None = None


def campaigns_in(
    folder: Path | None, *, known: Known | None = None, approved: Mapping[str, str] = NONE
) -> Sequence[Campaign]:
    """By name; None for those that ship. `known` None: products and segments are not looked up.

    `approved`: documents by the name of the campaign that they make, in place of its file or beside the files.
    Raises InputError with file, line and field for the first campaign that contradicts itself, another or `known`.
    """
    folder = folder or SHIPPED
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder of campaigns")
    found = [*_files_beside(folder, approved), *(_approved(name, text) for name, text in sorted(approved.items()))]
    names: dict[str, Path] = {}
    for file, one in found:
        if one.name in names:
            raise file.refusal("name", f"{one.name} is the name of {names[one.name].name} too")
        names[one.name] = file.path
    for file, one in found:
        for where, why in _faults(one, names=names, known=known):
            raise file.refusal(where, why)
    return sorted((one for _, one in found), key=lambda one: one.name)


def check_campaign(
    folder: Path | None, text: str, *, known: Known | None, approved: Mapping[str, str], label: str = PROPOSED
) -> Campaign:
    """A document that is not in force yet, beside all that are. Raises DocumentError, as for a file; called `label`."""
    file, one = document_of(text, label, Campaign)
    try:
        campaigns_in(folder, approved={**approved, one.name: text})
    except DocumentError as error:
        raise file.refusal(error.where, error.why) if error.path.name == one.name else error from error
    for where, why in _unknown(one, known) if known is not None else ():
        raise file.refusal(where, why)
    return one


def campaign_of(text: str, label: str) -> Campaign:
    """One document by itself, called so in errors. Raises DocumentError."""
    return document_of(text, label, Campaign)[1]


def _files_beside(folder: Path, approved: Collection[str]) -> Iterator[tuple[Document, Campaign]]:
    return ((file, one) for file, one in documents_in(folder, Campaign) if one.name not in approved)


def _approved(name: str, text: str) -> tuple[Document, Campaign]:
    file, one = document_of(text, name, Campaign)
    if one.name != name:
        raise file.refusal("name", f"is not {name}")
    return file, one


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
