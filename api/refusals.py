"""What the service cannot do for a caller, whichever way it was asked: one error, told by REST and by gRPC alike."""

from http import HTTPStatus

from data_contracts.errors import RecsError


class RefusalError(RecsError):
    """`status` is HTTP's; `field` names what was wrong with the request, `retry_after` when to come again."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, detail: str, *, field: str = "", retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.field = field
        self.retry_after_seconds = retry_after_seconds


class InvalidError(RefusalError):
    """The request is wrong, and will be whenever it comes."""


class UnknownError(RefusalError):
    """There is no such thing here."""

    status = HTTPStatus.NOT_FOUND


class ConflictError(RefusalError):
    """It was done, or asked for, in another way before."""

    status = HTTPStatus.CONFLICT


class GoneError(RefusalError):
    """It was here, and its retention has passed."""

    status = HTTPStatus.GONE


class ElsewhereError(RefusalError):
    """Another service does this."""

    status = HTTPStatus.MISDIRECTED_REQUEST


class BusyLaterError(RefusalError):
    """Nothing is wrong with the request: there is no room for it now."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
