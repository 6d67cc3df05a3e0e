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


class PacketCipher:
    """Encryption and integrity code of one session's packets.

    The block cipher and the keyed hash are set up once for each session: to set them up for each packet costs
    more than all of their work. So CBC is chained here, over single blocks.

    Args:
        suite: Cipher suite of the session.
        keys: Its keys.
    """

    __slots__ = ("_decrypt", "_encrypt", "_hash", "code_bytes")

    def __init__(self, suite: Suite, keys: SessionKeys) -> None:
        blocks = Cipher(algorithms.AES(keys.encryption), modes.ECB())  # noqa: S305  # chained as CBC below
        self._encrypt = blocks.encryptor().update
        self._decrypt = blocks.decryptor().update
        self._hash = hmac.new(keys.integrity, digestmod=suite.hash_name)
        self.code_bytes = suite.code_bytes

    def code(self, data: bytes) -> bytes:
        """Return the integrity code of a packet's authenticated part."""
        keyed = self._hash.copy()
        keyed.update(data)
        return keyed.digest()[: self.code_bytes]

    def encrypt(self, payload: bytes) -> bytes:
        """Return IV and AES-CBC-128 encrypted payload with the trailer of IPMI 2.0 table 13-20."""
        pad_bytes = -(len(payload) + 1) % AES_BLOCK_BYTES
        padded = payload + bytes(range(1, pad_bytes + 1)) + bytes((pad_bytes,))
        blocks = [os.urandom(AES_BLOCK_BYTES)]
        for at in range(0, len(padded), AES_BLOCK_BYTES):
            blocks.append(self._encrypt(_xor(padded[at : at + AES_BLOCK_BYTES], blocks[-1])))
        return b"".join(blocks)

    def decrypt(self, data: bytes) -> bytes:
        """Return what `encrypt` was given.

        Raises:
            PacketError: The length is no whole number of blocks, or the pad length is impossible.
        """
        if len(data) < 2 * AES_BLOCK_BYTES or len(data) % AES_BLOCK_BYTES:
            raise PacketError("not a whole number of AES blocks")
        padded = _xor(self._decrypt(data[AES_BLOCK_BYTES:]), data[:-AES_BLOCK_BYTES])
        if padded[-1] >= AES_BLOCK_BYTES:
            raise PacketError("impossible pad length")
        return padded[: -1 - padded[-1]]


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")
