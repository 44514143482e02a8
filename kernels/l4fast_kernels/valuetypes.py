"""What a value may be: its types by form, the first that fits, in the order of `TYPES`.

- ``integer``, ``decimal``: with or without a sign; a decimal has a point or an exponent.
- ``percent``, ``duration``, ``size``: a number and its unit, with at most one blank between them
  (`12ms`, `1.5 GiB`, `40%`); a duration may have several parts (`1h2m3.5s`).
- ``date``: year, month and day, or day/month/year, with or without a time behind it.
- ``time``: `10:15`, `1:02:03`, `10:15:30.123`, with or without a zone.
- ``hex``: behind `0x`, or four hex digits or more, among them a digit and a letter.
- ``boolean``: true or false, in any case.
- ``ip``: IPv4 with or without a port or a prefix length, also behind the `/` of Java; IPv6 that
  holds a digit, also in brackets with a port.
- ``mac``, ``uuid``.
- ``url``: a scheme, `://` and more.
- ``path``: from `/`, `~/` or a drive; or what begins like a name, holds a slash, and a dot or a digit.
- ``word``: anything else without blanks. ``text``: anything with them, and nothing at all.
"""

import numpy as np

TYPES = (
    "integer", "decimal", "percent", "duration", "size", "date", "time", "hex", "boolean", "ip", "mac",
    "uuid", "url", "path", "word", "text",
)  # fmt: skip
(
    INTEGER, DECIMAL, PERCENT, DURATION, SIZE, DATE, TIME, HEX, BOOLEAN, IP, MAC, UUID, URL, PATH, WORD,
    TEXT,
) = range(16)  # fmt: skip
# What a template's text says of a value is a type too; most say nothing.
NO_HINT = -1

PERCENT_UNITS = ("%",)
PART_UNITS = ("ns", "us", "µs", "μs", "ms", "s", "m", "h", "d")
DURATION_UNITS = (
    *PART_UNITS, "sec", "secs", "second", "seconds", "min", "mins", "minute", "minutes", "hr", "hrs",
    "hour", "hours", "day", "days",
)  # fmt: skip
SIZE_UNITS = (
    "B", "kB", "KB", "MB", "GB", "TB", "PB", "EB", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "byte",
    "bytes", "Byte", "Bytes",
)  # fmt: skip

# What a byte is: these bits. Bytes >= 0x80 are parts of names.
BLANK, DIGIT, HEXLETTER, NAME, SLASH, DOT, IN_PATH, SCHEME, COLONS = (1 << k for k in range(9))
BYTE_KINDS = np.zeros(256, np.uint16)
BYTE_KINDS[[9, 10, 11, 12, 13, 32]] = BLANK
BYTE_KINDS[48:58] |= DIGIT | IN_PATH | SCHEME
BYTE_KINDS[65:91] |= NAME | IN_PATH | SCHEME
BYTE_KINDS[97:123] |= NAME | IN_PATH | SCHEME
BYTE_KINDS[65:71] |= HEXLETTER
BYTE_KINDS[97:103] |= HEXLETTER
BYTE_KINDS[95] |= NAME | IN_PATH
BYTE_KINDS[128:] |= NAME | IN_PATH
BYTE_KINDS[47] |= SLASH | IN_PATH
BYTE_KINDS[46] |= DOT | IN_PATH | SCHEME
BYTE_KINDS[[43, 45]] |= IN_PATH | SCHEME
BYTE_KINDS[[64, 126]] |= IN_PATH
BYTE_KINDS[58] |= COLONS

PLUS, COMMA, DASH, POINT, SLASH_BYTE, COLON = 43, 44, 45, 46, 47, 58
