"""One error tree. Whoever raises says what is wrong, where, and what to do; whoever is an entry point prints one line.

RecsError
├── InputError       exit 2   something given to us is missing, broken or against its contract
├── GateError        exit 3   a snapshot failed its publish gate; yesterday's stays current
├── BusyError        exit 4   somebody else holds what is needed (another night on this lake, a database folder)
└── UnavailableError exit 5   a service did not answer (ClickHouse, a port)
"""


class RecsError(Exception):
    """Base of all errors that are meant to be read by a person."""

    exit_code = 1


class InputError(RecsError):
    exit_code = 2


class GateError(RecsError):
    exit_code = 3


class BusyError(RecsError):
    exit_code = 4


class UnavailableError(RecsError):
    exit_code = 5
