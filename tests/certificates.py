"""Certificates made for tests of TLS."""

import datetime as dt
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def write(self, folder: Path, name: str) -> tuple[str, str]:
        pem = serialization.Encoding.PEM
        plain = serialization.NoEncryption()
        (folder / f"{name}.pem").write_bytes(self.certificate.public_bytes(pem))
        (folder / f"{name}.key").write_bytes(
            self.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain),
        )
        return str(folder / f"{name}.pem"), str(folder / f"{name}.key")


def signed(name: str, by: Signed | None = None) -> Signed:
    """A certificate for 127.0.0.1, of an authority, or an authority of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    )
    return Signed(builder.sign(by.key if by else key, hashes.SHA256()), key)
