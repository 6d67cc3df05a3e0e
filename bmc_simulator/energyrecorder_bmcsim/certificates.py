"""A certificate authority of the simulator's own, and the certificates of its BMCs, good and bad ones."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import ssl
import warnings
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = ("good", "expired", "wrong-host", "self-signed", "weak-key")
"""What a BMC may show: signed by our CA for 127.0.0.1, ::1 and localhost; no longer valid; for
``bmc.invalid``; signed by itself; with an RSA key of 1024 bits."""

_VALID_FOR = dt.timedelta(days=30)
_WEAK_BITS = 1024

LeafKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A BMC's certificate, ready to be shown.

    Args:
        context: TLS settings of the server with certificate and key loaded.
        sha256: Fingerprint of the certificate, lower-case hexadecimal.
    """

    context: ssl.SSLContext
    sha256: str


class Authority:
    """A CA that lives as long as the simulator.

    Args:
        directory: Where the CA's PEM and the BMCs' keys are kept; the caller removes it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ca_key = ec.generate_private_key(ec.SECP256R1())
        self._ca_name = _name("energy-bmcsim CA")
        # One key for all leaves: 500 BMCs start in seconds, and the certificates still differ.
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(_pem(self._self_signed_ca()))

    def issue(self, bmc_id: str, kind: str = "good", *, old_tls: bool = False) -> ServerCertificate:
        """Return a new certificate for a BMC.

        Args:
            bmc_id: Stands in the subject, so that certificates can be told apart.
            kind: One of `KINDS`.
            old_tls: The server speaks nothing newer than TLS 1.1.
        """
        key: LeafKey = self._leaf_key
        if kind == "weak-key":
            key = rsa.generate_private_key(65537, _WEAK_BITS)  # as old BMCs have it
        certificate = self._leaf(bmc_id, kind, key)
        pem_file = self._directory / "leaf.pem"
        pem_file.touch(mode=0o600)
        pem_file.write_bytes(_pem(certificate) + _key_pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if kind == "weak-key":
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        if old_tls:
            _only_old(context)
        context.load_cert_chain(pem_file)
        der = certificate.public_bytes(serialization.Encoding.DER)
        return ServerCertificate(context, hashlib.sha256(der).hexdigest())

    def _self_signed_ca(self) -> x509.Certificate:
        builder = _builder(self._ca_name, self._ca_name, self._ca_key.public_key(), days_ago=1)
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._ca_key.public_key()), critical=False
            )
            .sign(self._ca_key, hashes.SHA256())
        )

    def _leaf(self, bmc_id: str, kind: str, key: LeafKey) -> x509.Certificate:
        subject = _name(bmc_id)
        issuer, signer = (subject, key) if kind == "self-signed" else (self._ca_name, self._ca_key)
        days_ago = 60 if kind == "expired" else 1
        return (
            _builder(subject, issuer, key.public_key(), days_ago=days_ago)
            .add_extension(_alternative_names(kind), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
            )
            .sign(signer, hashes.SHA256())
        )


def _only_old(context: ssl.SSLContext) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with warnings.catch_warnings():
        # Python warns that nobody should use TLS 1.1 any more; BMCs of its time do.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = ssl.TLSVersion.TLSv1_1


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_names(kind: str) -> x509.SubjectAlternativeName:
    if kind == "wrong-host":
        return x509.SubjectAlternativeName([x509.DNSName("bmc.invalid")])
    return x509.SubjectAlternativeName(
        [
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
            x509.DNSName("localhost"),
        ]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    *,
    days_ago: int,
) -> x509.CertificateBuilder:
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=days_ago)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _VALID_FOR)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: LeafKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
