"""The files of TLS, for REST and gRPC alike."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from data_contracts.errors import InputError
from data_contracts.settings import Settings


@dataclass(frozen=True)
class TlsFiles:
    """PEM. `client_ca`: whose certificates clients must show (mTLS); None where they need none."""

    certificate: Path
    key: Path
    client_ca: Path | None

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """None without TLS. Raises InputError for half a configuration."""
        certificate = settings.tls_certificate
        if certificate is None:
            if settings.tls_client_ca is not None or settings.tls_key is not None:
                raise InputError("RECS_TLS_CLIENT_CA and RECS_TLS_KEY mean nothing without RECS_TLS_CERTIFICATE")
            return None
        return cls(certificate, settings.tls_key or certificate, settings.tls_client_ca)
