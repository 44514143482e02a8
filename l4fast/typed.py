"""Variables that show by their form: URLs, paths, hosts, ids, numbers with a sign or an exponent.

A masked text tells which words hold a digit. Many values are more than a word: a path, a UUID with
a group of letters, `host.example.com`. Each such type becomes one MASK here, by its form alone, so
the result is a pure function of the masked text. Parsers that mask by type lead on template
accuracy (Preprocessed-Drain, arXiv 2412.05254); the forms here are general, none is for one data set.
"""

from __future__ import annotations

import re

from l4fast.regexes import regex

# One character of the Unicode private-use area stands for one masked word: lines are
# decoded as Latin-1 here, so no byte of a log can produce it.
MASK = "\ue000"
M = MASK

# A path or a URL ends at a blank or at one of these; a value may end at more.
PATH_ENDS = regex(r"([\s,!;:=|\"'`\[\](){}<>])")
WORD_ENDS = regex(r"([\s,!;:=|\"'`\[\](){}.\-+@#$%&])")

_URL = regex(r"(?<![A-Za-z])([A-Za-z][A-Za-z.+-]*+)://[^\s,;\"'<>()\[\]{}]+")
_QUERY = regex(rf"(?<![\w.{M}])/[^\s\"'<>,;?]*+\?[^\s\"'<>]*")
_PATH = regex(r"(/[^/]+)+/?")
# A relative path has a dot somewhere: `read/write` and `seq/ack` are words.
_RELATIVE = regex(rf"(?<![\w.{M}/-])(?=[\w{M}/-]*\.)(?=[\w{M}.-]*/)[\w{M}.-]++(?:/[\w{M}.-]++)+/?(?![\w/])")


def _hex(n: int) -> str:
    return rf"(?:{M}|[a-fA-F]{{{n}}})"


_UUID = regex(rf"(?<![\w-])(?=[a-fA-F-]*{M}){_hex(8)}-{_hex(4)}-{_hex(4)}-{_hex(4)}-{_hex(12)}(?![\w-])")
_MAC = regex(rf"(?<![\w:])(?=[a-fA-F:]*{M}){_hex(2)}(?::{_hex(2)}){{5}}(?![\w:])")
_IPV6 = regex(
    rf"(?<![\w:])(?=[a-fA-F:]*{M})(?:(?:{M}|[a-fA-F]{{1,4}})?:){{3,7}}(?:{M}|[a-fA-F]{{1,4}})(?![\w:])"
)
_HEX_WORD = regex(r"(?<![A-Za-z0-9_])[a-f]{8,}(?![A-Za-z0-9_])")
_USER_AT = regex(rf"(?<![\w{M}.+-])[\w{M}.+-]++@[\w{M}-]+(?:\.[\w{M}-]+)*(?![\w{M}])")

_TLD = (
    "com|net|org|edu|gov|mil|int|info|biz|asia|io|ai|app|dev|me|tv|xyz|cn|hk|jp|de|uk|eu|tw|br|mx|ru|fr|it|nl|us|ca"
    "|au|in|kr|pl|se|ch|es|at|be|cz|dk|fi|gr|hu|ie|il|no|nz|om|pt|ro|sg|tr|ua|za|ar|cl|co"
    "|local|localdomain|lan|internal|arpa"
)
# `org.apache.commons.net` is a class: its domain stands first.
_HOST = regex(
    rf"(?<![\w.@/{M}-])(?!(?:com|org|net|edu|gov|io|cn|java|javax)\.)"
    rf"(?:(?:[A-Za-z_{M}][\w{M}-]*+\.)+(?:{_TLD})|(?:[\w{M}-]++\.){{2,}}[a-z]{{2}})(?![\w{M}(-]|\.\w)"
)

_DAY, _MONTH = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)", "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE = regex(
    rf"(?:\b{_DAY},? )?\b{_MONTH} +{M}(?= {M}:{M})|\b{_DAY},? {_MONTH} +{M}",
)
_NOON = regex(rf"(?<={M}:{M} )[AP]M\b")
# Files that a program reads or writes; those of its own source say where it is.
_FILE = regex(
    rf"(?<![\w.{M}/-])[\w{M}][\w{M}.-]*\.(?:json|ya?ml|toml|txt|log|ckpt|pth?|safetensors|bin|npy|npz|tar|gz|tgz|zip|zst"
    rf"|csv|tsv|parquet|arrow|xml|conf|cfg|ini|sh|so|whl|png|db|lock|pid|sock|sqsh)(?![\w{M}-]|\.\w)"
)
# Strings that are values by the syntax of JSON and of Python's dicts, unless their key names the event.
EVENT_KEYS = frozenset({"key", "event", "event_type", "msg", "message"})
_STRING = regex(r"(?P<key>(?P<q>[\"'])(?P<name>[\w.-]+)(?P=q): ?)(?P=q)(?:(?!(?P=q))[^\\])+(?P=q)")
# A frame of a traceback, and what Python shows of an object.
_FRAME = regex(rf'(?<=File )"[^"]+"(, line {M}, in )\S+')
_OBJECT = regex(rf"<[\w.{M}]+ object at {M}>")
_SIGNED = regex(rf"(?<![A-Za-z{M})\]])([A-Za-z]+_)?[-+]{M}")
# 1e-05 and 1.2e+03; a range of two numbers looks the same.
_EXPONENT = regex(rf"(?<![\w{M}-])(?:{M}\.)?{M}[-+]{M}(?![\w{M}-])")


def typed(masked: str) -> str:
    """Return a masked text with each variable that shows by its form as one MASK.

    >>> typed(f"GET http://a/b?c={M} from {M}.{M}.{M}.{M} to /var/log/x").replace(M, "<*>")
    'GET http://<*> from <*> to <*>'
    """
    # Most texts lack most of these: to look for a sign of one costs a tenth of looking for it.
    text = masked
    if 'File "' in text:
        text = _FRAME.sub(rf'"{M}"\1{M}', text)
    if " object at " in text:
        text = _OBJECT.sub(f"<{M} object at {M}>", text)
    if '":' in text or "':" in text:
        text = _STRING.sub(_string, text)
    if "://" in text:
        text = _URL.sub(rf"\1://{M}", text)
    if "?" in text:
        text = _QUERY.sub(M, text)
    if text.count("-") > 3:
        text = _UUID.sub(M, text)
    if text.count(":") > 2:
        text = _IPV6.sub(M, _MAC.sub(M, text))
    text = _HEX_WORD.sub(M, text)
    if "@" in text:
        text = _USER_AT.sub(M, text)
    if "." in text:
        text = _HOST.sub(M, text)
    if "-" in text or "+" in text:
        text = _SIGNED.sub(M, _EXPONENT.sub(M, text))
    if "/" in text:
        text = "".join(M if _PATH.fullmatch(part) else part for part in PATH_ENDS.split(text))
        text = _RELATIVE.sub(M, text)
    if "." in text:
        text = _FILE.sub(M, text)
    if M not in text:
        return text
    text = _NOON.sub(M, _DATE.sub(M, text))
    return joined("".join(M if M in part and "/" not in part else part for part in WORD_ENDS.split(text)))


def _string(found: re.Match[str]) -> str:
    if found["name"].lower() in EVENT_KEYS:
        return found[0]
    return f"{found['key']}{found['q']}{M}{found['q']}"


def joined(text: str) -> str:
    """Return a text in which variables that touch, or that a dot parts, are one."""
    while True:
        shorter = text.replace(f"{M}.{M}", M).replace(M + M, M)
        if shorter == text:
            return text
        text = shorter
