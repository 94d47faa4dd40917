"""Text in CSV that people open in a spreadsheet: nothing that came from outside is a formula there. Pure."""

import csv
import io

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_field(text: str) -> str:
    """As RFC 4180 has it, with an apostrophe before what would be a formula."""
    return csv_row([text]).removesuffix("\r\n")


def csv_row(fields: list[str]) -> str:
    """A line of such fields, its end included."""
    out = io.StringIO()
    csv.writer(out).writerow([f"'{text}" if text.startswith(_FORMULA) else text for text in fields])
    return out.getvalue()


def without_apostrophe(text: str) -> str:
    """What a field that `csv_row` wrote was made of."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text
