"""What may not be in the warehouse: names, phones, e-mails, passports, card numbers and the like.

Two looks at it, both pure. The lint reads contracts and event schemas and says which columns would admit such a thing;
a test holds it silent. The scan reads sample values and counts what looks like one, without ever keeping a value.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.tables import TableContract

_EVENTS = Path(__file__).parent / "events"

# Kind -> what a column of it is called, as a whole name or as words of it joined by underscores.
_NAMES: Mapping[str, str] = {
    "name": (
        r"(first|last|middle|full|given|family|maiden|user|client|customer|person|holder|owner|legal)_?names?"
        r"|surnames?|patronymic|fio|familiya|imya|otchestvo"
    ),
    "phone": r"(tele)?phones?|tel|telefon|msisdn|(mobile|cell)_?(number|no|num|phone)|nomer_telefona",
    "e-mail": r"e_?mails?|mail|pochta",
    "passport": (
        r"passports?|pasport|seriya|series_number|snils|inn|ssn|national_id|tax_id"
        r"|(document|doc|dokument)_(number|no|num|series)|nomer_dokumenta|driver_licen[cs]e"
    ),
    "card number": r"pan|card_?(number|no|num|pan)|nomer_karty|cvv2?|cvc2?|iban|account_?(number|no|num)|nomer_scheta",
}
# The same said in words, in the description of a column of whatever name.
_WORDS: Mapping[str, str] = {
    "name": r"(first|last|middle|full|family) name|surname|patronymic|фио|фамили\w+|отчеств\w+",
    "phone": r"(tele)?phones?( numbers?)?|телефон\w*",
    "e-mail": r"e-?mails?|электронн\w+ почт\w+",
    "passport": r"passports?|паспорт\w*|snils|снилс|inn|инн",
    "card number": r"card numbers?|номер\w* карт\w*|pan|cvv|iban",
}
_BY_NAME = {kind: re.compile(rf"(?:^|_)(?:{names})(?:_|$)", re.IGNORECASE) for kind, names in _NAMES.items()}
_BY_WORDS = {kind: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for kind, words in _WORDS.items()}
# Nothing but a person has a column called just this.
_BARE_NAME = re.compile(r"^name$", re.IGNORECASE)


def lint_contract(promised: TableContract) -> Iterator[str]:
    """One line for each column that would admit what may not be here."""
    for column in promised.columns:
        for kind in _kinds_of_column(column.name, column.description):
            yield f"{promised.name}.{column.name} admits a person's {kind}: keep an internal id, or leave it out"


def lint_event(schema: Mapping[str, Any], *, where: str) -> Iterator[str]:
    """The same for an Avro schema, its nested records included. `where` names it in the lines."""
    for field in schema.get("fields", ()):
        for kind in _kinds_of_column(field["name"], field.get("doc", "")):
            yield f"{where}.{field['name']} admits a person's {kind}: keep an internal id, or leave it out"
        for nested in _nested(field["type"]):
            yield from lint_event(nested, where=f"{where}.{field['name']}")


def event_schemas() -> Mapping[str, Mapping[str, Any]]:
    """Every version of every event, by its path without the ending."""
    return {
        str(path.relative_to(_EVENTS).with_suffix("")): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(_EVENTS.rglob("*.avsc"))
    }


def _kinds_of_column(name: str, description: str) -> list[str]:
    if _BARE_NAME.match(name):
        return ["name"]
    return [kind for kind in _NAMES if _BY_NAME[kind].search(name) or _BY_WORDS[kind].search(description)]


def _nested(type_: Any) -> Iterator[Mapping[str, Any]]:
    """The records within a type: of a union's branches, of an array's items, of a map's values."""
    if isinstance(type_, list):
        for branch in type_:
            yield from _nested(branch)
    elif isinstance(type_, dict):
        if type_.get("type") == "record":
            yield type_
        for part in ("items", "values", "type"):
            yield from _nested(type_.get(part))


@dataclass(frozen=True)
class Look:
    """How a value of a kind looks. Numbers with check digits are told by them.

    One number in ten has the right check digit by chance, so a column counts only if most of its numbers have.
    """

    pattern: re.Pattern[str]
    is_right: Callable[[str], bool] | None = None


def suspicious(values: Iterable[str]) -> Counter[str]:
    """How many of a column's values look like something of a kind that may not be here."""
    seen: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for value in values:
        for kind, look in _LOOKS.items():
            found = look.pattern.findall(value)
            seen[kind] += bool(found)
            right[kind] += any(look.is_right is None or look.is_right(re.sub(r"\D", "", one)) for one in found)
    return Counter({kind: count for kind, count in right.items() if count and 2 * count > seen[kind]})


def has_card_digit(digits: str) -> bool:
    """ISO/IEC 7812, annex B (Luhn)."""
    doubled = [int(digit) * 2 if place % 2 else int(digit) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def has_snils_digits(digits: str) -> bool:
    """The last two of eleven digits, by the Pension Fund's rule for numbers above 001-001-998."""
    total = sum(int(digit) * weight for digit, weight in zip(digits[:9], range(9, 0, -1), strict=True))
    return int(digits[9:]) == total % 101 % 100


def has_inn_digits(digits: str) -> bool:
    """The last of ten digits, or the last two of twelve, by the Federal Tax Service's rule."""
    weights = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
    ends = (9,) if len(digits) == 10 else (10, 11)
    return all(int(digits[end]) == _weighted(digits[:end], weights[-end:]) for end in ends)


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11 % 10


_LOOKS: Mapping[str, Look] = {
    "name": Look(re.compile(r"\b[А-ЯЁ][а-яё-]+ [А-ЯЁ][а-яё]+ [А-ЯЁ][а-яё]+(?:вич|вна|чна|оглы|кызы)\b")),
    "e-mail": Look(re.compile(r"[\w.+-]+@[\w-]+\.[\w-]{2,}")),
    "phone": Look(re.compile(r"(?<![\w-])(?:\+7|8)[ (-]*\d{3}[ )-]*\d{3}[ -]?\d{2}[ -]?\d{2}(?![\w-])|\+\d{11,14}\b")),
    "passport": Look(re.compile(r"(?<![\w-])\d{2} ?\d{2}(?: ?№ ?| )\d{6}(?![\w-])")),
    "SNILS": Look(re.compile(r"(?<![\w-])\d{3}-?\d{3}-?\d{3}[ -]?\d{2}(?![\w-])"), has_snils_digits),
    "INN": Look(re.compile(r"(?<![\w-])(?:\d{10}|\d{12})(?![\w-])"), has_inn_digits),
    "card number": Look(re.compile(r"(?<![\w-])[2-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?![\w-])"), has_card_digit),
}
