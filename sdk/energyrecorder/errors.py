"""The errors that energyrecorder raises, each saying what is wrong and where."""

from __future__ import annotations

import errno

_OF_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF)
"""What writing is refused with; the system does not say of what it was."""


class EnergyError(Exception):
    """Base of all errors of this project; never raised itself.

    ``exit_code`` is what a command ends with when the error reaches its edge.
    """

    exit_code = 1


class ConfigError(EnergyError, ValueError):
    """A settings file, an option or an environment variable holds something that is not allowed.

    The message is one line that names the file, the table, the key and what is allowed instead.
    """

    exit_code = 2


def refusal_text(error: OSError) -> str:
    """Return what the operating system refused, in a line: of which file, or of our output, if it was."""
    where = error.filename or ("output" if error.errno in _OF_OUTPUT else None)
    text = error.strerror or str(error)
    return text if where is None else f"{where}: {text}"


def unreachable_text(error: BaseException) -> str:
    """Return in plain words why a peer on the network gave no answer."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if getattr(error, "library", None) == "SSL":  # `ssl` itself is loaded only where it is used
        reason = getattr(error, "verify_message", None) or str(getattr(error, "reason", error)).lower()
        return f"TLS: {reason.replace('_', ' ')}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"{type(error).__name__}: {str(error)[:200]!r}"


class BmcError(EnergyError):
    """A poll of a BMC failed.

    Args:
        message: One line; foreign text in it is quoted with ``repr``.
        reason: One of `energyrecorder.schema.ERRORS`, as written to ``server_bmc.error``.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class BmcUnreachableError(BmcError):
    """The BMC did not answer in time, refused the connection, or failed the TLS policy."""


class BmcAuthError(BmcError):
    """The BMC refused the log-in, the account lacks a privilege, or a lock-out guard holds us back."""


class BmcDataError(BmcError):
    """The BMC answered, but what it said is missing, malformed or not a valid reading.

    The message names the resource and the attribute.
    """


class AnnotatorError(EnergyError):
    """The annotator answered with an error or not at all."""

    exit_code = 3
