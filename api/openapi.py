"""`python -m api.openapi` writes the service's contract, openapi.json beside this file; a test holds it current."""

from pathlib import Path

import orjson

from api.app import create_app
from data_contracts.settings import Settings

PATH = Path(__file__).parent / "openapi.json"


def contract() -> bytes:
    schema = create_app(Settings()).openapi()
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    PATH.write_bytes(contract())
