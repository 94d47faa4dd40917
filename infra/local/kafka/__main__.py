"""`python -m infra.local.kafka --path DIR --port N`: run a broker on a folder until told to stop."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from data_contracts.errors import RecsError
from infra.local.kafka.broker import broker


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.local.kafka", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="data folder; made if missing")
    parser.add_argument("--port", type=int, default=9092, help="port on 127.0.0.1; 0 for any free one")
    parser.add_argument("--while-stdin-open", action="store_true", help="end with the process that holds our input")
    arguments = parser.parse_args()
    if arguments.while_stdin_open:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    # Blocked here and taken below, so that no handler runs in the middle of something.
    told = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, told)
    try:
        with broker(arguments.path, port=arguments.port) as address:
            sys.stdout.write(f"{address}\n")
            sys.stdout.flush()
            signal.sigwait(told)
    except RecsError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)


def _end_with_stdin() -> None:
    """A starter that was killed cannot stop us, but the kernel closes its end of the pipe."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
