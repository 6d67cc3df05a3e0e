"""Cipher suites 3 and 17 of RMCP+: keyed hashes, key derivation, AES-CBC with IPMI's padding."""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from energyrecorder_bmcsim.ipmi.rmcp import WireError

_BLOCK = 16
_CONSTANT_SIZE = 20


@dataclass(frozen=True, slots=True)
class Suite:
    """A cipher suite (IPMI 2.0 table 22-20).

    Args:
        suite_id: Number of the suite.
        authentication: Authentication algorithm (table 13-17).
        integrity: Integrity algorithm (table 13-18).
        confidentiality: Confidentiality algorithm (table 13-19).
        digest: Name of the hash, as `hmac.digest` takes it.
        auth_code_size: Octets of a truncated AuthCode.
    """

    suite_id: int
    authentication: int
    integrity: int
    confidentiality: int
    digest: str
    auth_code_size: int

    def hash(self, key: bytes, octets: bytes) -> bytes:
        """Return the full keyed hash."""
        return hmac.digest(key, octets, self.digest)

    def auth_code(self, key: bytes, octets: bytes) -> bytes:
        """Return the keyed hash cut to the size that packets and RAKP message 4 carry."""
        return self.hash(key, octets)[: self.auth_code_size]


SUITES = {
    3: Suite(3, 0x01, 0x01, 0x01, "sha1", 12),
    17: Suite(17, 0x03, 0x04, 0x01, "sha256", 16),
}


def derive_key(suite: Suite, integrity_key: bytes, number: int) -> bytes:
    """Return K1 or K2 (IPMI 2.0 §13.32).

    Both suites hash a constant of 20 octets: ipmitool, FreeIPMI and pyghmi agree on it for SHA-256 too.

    Args:
        suite: The suite of the session.
        integrity_key: The session integrity key (SIK).
        number: 1 for integrity, 2 for encryption.
    """
    return suite.hash(integrity_key, bytes((number,)) * _CONSTANT_SIZE)


def encrypt(key: bytes, plain: bytes) -> bytes:
    """Return a fresh initialisation vector and the AES-CBC-128 text (IPMI 2.0 §13.29).

    Padding is 01h, 02h, 03h … and then its length.

    Args:
        key: 16 octets.
        plain: The payload.
    """
    padding = -(len(plain) + 1) % _BLOCK
    padded = plain + bytes(range(1, padding + 1)) + bytes((padding,))
    vector = os.urandom(_BLOCK)
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return vector + encryptor.update(padded) + encryptor.finalize()


def decrypt(key: bytes, sealed: bytes) -> bytes:
    """Return the payload that `encrypt` sealed.

    Raises:
        WireError: No whole number of blocks, or the padding is not IPMI's.
    """
    if len(sealed) < 2 * _BLOCK or len(sealed) % _BLOCK:
        raise WireError("encrypted payload is no whole number of blocks")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(sealed[:_BLOCK])).decryptor()
    padded = decryptor.update(sealed[_BLOCK:]) + decryptor.finalize()
    padding = padded[-1]
    if padding >= len(padded):
        raise WireError("encrypted payload has impossible padding")
    end = len(padded) - 1 - padding
    if padded[end:-1] != bytes(range(1, padding + 1)):
        raise WireError("encrypted payload has wrong padding")
    return padded[:end]
