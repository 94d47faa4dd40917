"""`python -m infra.local.clickhouse --path DIR --port N`: serve a folder until told to stop."""

import argparse
import sys
from pathlib import Path

from data_contracts.errors import RecsError
from infra.local.clickhouse.server import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.local.clickhouse", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="data folder; made if missing")
    parser.add_argument("--port", type=int, default=8123, help="port on 127.0.0.1; 0 for any free one")
    arguments = parser.parse_args()
    try:
        serve(path=arguments.path, port=arguments.port)
    except RecsError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
