"""Error bodies as Redfish services write them (DSP0266, Base message registry)."""

from __future__ import annotations

import json

_TEXTS = {
    "NoValidSession": "There is no valid session established with the implementation.",
    "InsufficientPrivilege": "There are insufficient privileges for the account to perform the operation.",
    "ResourceMissingAtURI": "The resource at the URI was not found.",
    "SessionLimitExceeded": "The session establishment failed due to the number of simultaneous sessions "
    "exceeding the limit of the implementation.",
    "ServiceTemporarilyUnavailable": "The service is temporarily unavailable. Retry later.",
    "OperationNotAllowed": "The HTTP method is not allowed on this resource.",
    "MalformedJSON": "The request body submitted was malformed JSON.",
    # Seen on iDRAC9 while its data sources restart (metal-operator#170).
    "SYS518": "iDRAC is unable to complete the operation because the data sources required are unavailable. "
    "Wait for {wait_s} seconds and retry the operation.",
    "GeneralError": "A general error has occurred.",
}


_IDRAC = frozenset({"SYS518"})


def error_body(message: str, **arguments: object) -> bytes:
    """Return the body of an error.

    Args:
        message: Name of the message in the Base registry, such as ``NoValidSession``, or in that of iDRAC9.
        arguments: What its text is filled in with.
    """
    message_id = f"IDRAC.2.8.{message}" if message in _IDRAC else f"Base.1.8.{message}"
    text = _TEXTS[message].format(**arguments)
    info = {"@odata.type": "#Message.v1_1_1.Message", "MessageId": message_id, "Message": text}
    error = {"code": "Base.1.8.GeneralError", "message": "See @Message.ExtendedInfo for more information."}
    return json.dumps({"error": {**error, "@Message.ExtendedInfo": [info]}}).encode()
