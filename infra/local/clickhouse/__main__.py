"""`python -m infra.local.clickhouse --path DIR --port N`: serve a folder until told to stop."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from data_contracts.errors import RecsError
from infra.local.clickhouse.server import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.local.clickhouse", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="data folder; made if missing")
    parser.add_argument("--port", type=int, default=8123, help="port on 127.0.0.1; 0 for any free one")
    parser.add_argument("--while-stdin-open", action="store_true", help="end with the process that holds our input")
    arguments = parser.parse_args()
    if arguments.while_stdin_open:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        serve(path=arguments.path, port=arguments.port)
    except RecsError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


def _end_with_stdin() -> None:
    """A starter that was killed cannot stop us, but the kernel closes its end of the pipe."""
    while os.read(sys.stdin.fileno(), 1024):  # not through sys.stdin, whose lock a waiting thread would keep at exit
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
