"""Says which texts of a BMC's answers may be passed on: by what they are called, or by their form (pure).

Vendors have names of their own for whose a server is (``SN``, ``ServerTopology.1.AisleName``,
``SystemLocation``), and no list holds them all. So a text stays only if readers and people need it.
"""

from __future__ import annotations

import re

_NAMES = re.compile(
    r"(?:id|member_?id|metric_?id|name|href|model|manufacturer|vendor|product|power|values|etag)"
    r"|\w*(?:type|state|status|health|rollup|units?|context|mode|algorithm|version|interval|period)"
    r"|\w*(?:time|timestamp|date)",
    re.IGNORECASE,
)
_FORMS = re.compile(
    # A number of few digits, with its unit; more digits may be a serial number.
    r"[-+]?\d{1,6}(?:\.\d+)?(?:e[-+]?\d+)?\s*(?:[kM]?W|watts?|V|volts?|k?VA|m?A|amps?|k?J|k?Wh|Hz|C|cel|rpm|%)?"
    # A time or a duration as ISO 8601 has it.
    r"|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[-+]\d\d:?\d\d)?)?|P[\dT][\dTDHMS.]*"
    # A path.
    r"|/\S*",
    re.IGNORECASE,
)


def may_stay(key: str, text: str) -> bool:
    """Whether a text may be passed on, once known serials, addresses and names are replaced in it.

    Args:
        key: What it is called; of a dotted name, as Dell's attributes have it, the last part counts.
        text: The text.
    """
    return bool(_NAMES.fullmatch(key.rpartition(".")[2]) or _FORMS.fullmatch(text.strip()))
