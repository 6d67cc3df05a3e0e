"""The two cipher suites that we speak, and their keyed hashes and encryption; pure but for the IV."""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from energyrecorder_execd.readers.ipmi.lanplus.packet import PacketError

AES_BLOCK_BYTES = 16
_KEY_CONSTANT_BYTES = 20  # IPMI 2.0 §13.32: also with SHA-256, as ipmitool and FreeIPMI do


@dataclass(frozen=True, slots=True)
class Suite:
    """One cipher suite (IPMI 2.0 table 22-20).

    Args:
        number: Cipher suite id.
        authentication: RAKP algorithm number.
        integrity: Integrity algorithm number.
        confidentiality: Confidentiality algorithm number; 1 is AES-CBC-128.
        hash_name: Hash of both HMACs.
        hash_bytes: Length of the RAKP key exchange codes.
        code_bytes: Length of the truncated code on RAKP message 4 and on each packet.
    """

    number: int
    authentication: int
    integrity: int
    confidentiality: int
    hash_name: str
    hash_bytes: int
    code_bytes: int

    def digest(self, key: bytes, data: bytes) -> bytes:
        """Return the whole HMAC of ``data``."""
        return hmac.digest(key, data, self.hash_name)

    def code(self, key: bytes, data: bytes) -> bytes:
        """Return the HMAC of ``data`` truncated to the length of an integrity code."""
        return self.digest(key, data)[: self.code_bytes]


SUITES = {
    3: Suite(
        3, authentication=1, integrity=1, confidentiality=1, hash_name="sha1", hash_bytes=20, code_bytes=12
    ),
    17: Suite(
        17, authentication=3, integrity=4, confidentiality=1, hash_name="sha256", hash_bytes=32, code_bytes=16
    ),
}


@dataclass(frozen=True, slots=True, repr=False)
class SessionKeys:
    """Keys of one session (IPMI 2.0 §13.32); without a repr, so that no log shows them.

    Args:
        integrity: K1, keys the integrity code of each packet.
        encryption: The first 16 bytes of K2, the AES key.
    """

    integrity: bytes
    encryption: bytes


def session_keys(suite: Suite, session_integrity_key: bytes) -> SessionKeys:
    """Return the keys that follow from the session integrity key SIK."""
    return SessionKeys(
        integrity=suite.digest(session_integrity_key, b"\x01" * _KEY_CONSTANT_BYTES),
        encryption=suite.digest(session_integrity_key, b"\x02" * _KEY_CONSTANT_BYTES)[:16],
    )


def encrypt(key: bytes, payload: bytes) -> bytes:
    """Return IV and AES-CBC-128 encrypted payload with the trailer of IPMI 2.0 table 13-20."""
    pad_bytes = -(len(payload) + 1) % AES_BLOCK_BYTES
    padded = payload + bytes(range(1, pad_bytes + 1)) + bytes((pad_bytes,))
    iv = os.urandom(AES_BLOCK_BYTES)
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return iv + encryptor.update(padded) + encryptor.finalize()


def decrypt(key: bytes, data: bytes) -> bytes:
    """Return what `encrypt` was given.

    Raises:
        PacketError: The length is no whole number of blocks, or the pad length is impossible.
    """
    if len(data) < 2 * AES_BLOCK_BYTES or len(data) % AES_BLOCK_BYTES:
        raise PacketError("not a whole number of AES blocks")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(data[:AES_BLOCK_BYTES])).decryptor()
    padded = decryptor.update(data[AES_BLOCK_BYTES:]) + decryptor.finalize()
    if padded[-1] >= AES_BLOCK_BYTES:
        raise PacketError("impossible pad length")
    return padded[: -1 - padded[-1]]
