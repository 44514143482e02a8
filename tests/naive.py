"""What each parsing kernel means, written to be read."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import itertools
import math
import re

_WORD = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")
_DIGIT = re.compile(rb"[0-9]")


def segments(data: bytes) -> list[tuple[int, int, int, int]]:
    """Return (start, stop, begin of the line, index of the line) of each segment."""
    found = []
    at = 0
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for index, line in enumerate(lines):
        start = at
        mine = []
        for piece in line.split(b"\r"):
            if piece:
                mine.append((start, start + len(piece), at, index))
            start += len(piece) + 1
        ended = at + len(line) < len(data)
        if not mine and (ended or line.strip(b"\r")):
            # An empty line is a line: its last (empty) piece stands for it.
            mine.append((at + len(line), at + len(line), at, index))
        found.extend(mine)
        at += len(line) + 1
    return found


_CODE = re.compile(rb"((?:\x1b|\\u001[bB])\[)([0-?]*)([mKJHABGhl])")
_FINALS = dict(zip(b"mKJHABGhl", (3, 4, 5, 6, 7, 8, 14, 15, 26), strict=True))


def hushed(data: bytes) -> bytes:
    """Return the bytes with control bytes for the digits and the last letter of each colour code."""

    def hush(m: re.Match[bytes]) -> bytes:
        digits = bytes(byte - 32 if 48 <= byte < 58 else byte for byte in m[2])
        return m[1] + digits + bytes([_FINALS[m[3][0]]])

    return _CODE.sub(hush, data)


def masked(line: bytes) -> bytes:
    """Return the line with each word that holds a digit replaced by a NUL."""
    return _WORD.sub(lambda m: b"\x00" if _DIGIT.search(m[0]) else m[0], line.replace(b"\x00", b"\x01"))


def words_with_digits(line: bytes) -> list[tuple[int, int]]:
    return [m.span() for m in _WORD.finditer(line) if _DIGIT.search(m[0])]


def codes(items: list[object]) -> list[int]:
    """Give each distinct item a code in order of appearance."""
    seen: dict[object, int] = {}
    return [seen.setdefault(item, len(seen)) for item in items]


def lines(data: bytes) -> list[tuple[int, int, bytes, bytes]]:
    """Return (number from 1, offset, bytes of the line, its last segment) of each line."""
    last = {index: (start, stop, begin) for start, stop, begin, index in segments(data)}
    found = []
    for index, (start, stop, begin) in last.items():
        line = data[begin:stop] if stop > start else b""
        found.append((index + 1, begin, line, data[start:stop]))
    return found


NAME = re.compile(rb"(?:[A-Za-z_]{2,}[0-9]{1,2}|[A-Z][0-9])(?:[A-Za-z_]+[0-9]?)?")
KEY = re.compile(rb"[A-Za-z_]{1,16}[0-9]{1,2}(?:[A-Za-z_]+[0-9]?)?")
HEX = re.compile(rb"[0-9a-f]{4,}|[0-9A-F]{4,}")


def is_name(word: bytes, key: bool) -> bool:
    """Whether a word with a digit looks like a name; ``key``: whether `=` follows it."""
    return bool((KEY if key else NAME).fullmatch(word)) and not HEX.fullmatch(word)


def wordings(lines: list[bytes], most: int) -> list[bytes]:
    """Return each line's wording: masked, but for names of which few stand at their place."""
    places: dict[tuple[bytes, int], set[bytes | None]] = {}
    for line in lines:
        for k, (begin, end) in enumerate(words_with_digits(line)):
            name = is_name(line[begin:end], line[end : end + 1] == b"=")
            places.setdefault((masked(line), k), set()).add(line[begin:end] if name else None)
    kept = {place: names for place, names in places.items() if None not in names and len(names) <= most}
    told: dict[bytes, tuple[int, int]] = {}
    for (shape, k), names in kept.items():
        if len(names) > 1:
            told[shape] = min(told.get(shape, (most + 1, 0)), (len(names), k))
    found = []
    for line in lines:
        shape, text = masked(line), bytearray(line)
        for k, (begin, end) in reversed(list(enumerate(words_with_digits(line)))):
            names = kept.get((shape, k), set())
            if not (len(names) == 1 or told.get(shape) == (len(names), k)):
                text[begin:end] = b"\x00"
        found.append(bytes(text))
    return found


def text_lines(data: bytes) -> list[bytes]:
    """Return the lines that Python's text files have."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def split_line(log_format: str, line: bytes) -> list[bytes | None] | None:
    """Return the fields of a line by one regular expression, as logparser does; None if it does not fit."""
    pattern, names = "", []
    for k, piece in enumerate(re.split("<([^<>]+)>", log_format)):
        if k % 2:
            names.append(piece)
            pattern += f"(?P<{piece}>.*?)"
        else:
            pattern += re.sub(" +", lambda _: r"\s+", piece)
    match = re.search(f"^{pattern}$".encode(), line.strip(b" \t\n\r\f\v"))
    return None if match is None else [match[name] for name in names]


def parameters(template: str, content: bytes) -> list[bytes]:
    """Return what each variable of a template stands for in one content; nothing if it does not fit."""
    pieces = [re.sub(rb"(\\ )+", rb"\\s+", re.escape(piece.encode())) for piece in template.split("<*>")]
    pieces = [piece.replace("\ufffd".encode(), rb"[\x80-\xff]{1,3}") for piece in pieces]
    match = re.match(b"^" + b"(.+?)".join(pieces) + b"$", content)
    if match is None:  # a variable may be a part that some lines lack, and its blank with it
        pieces = [re.sub(rb"^\\s\+|\\s\+$", rb"\\s*", piece) for piece in pieces]
        match = re.match(b"^" + b"(.*?)".join(pieces) + b"$", content)
    return [] if match is None else list(match.groups())


def values(template: str, content: bytes) -> list[bytes]:
    """Return what each variable stands for if it is fitted to the masked text: no word is parted."""
    words = (content[a:b] for a, b in words_with_digits(content))
    found = parameters(template, masked(content))
    return [re.sub(b"\x00", lambda _: next(words), value) for value in found]


def accuracy(true: list[str], found: list[str]) -> tuple[float, float, float, float]:
    """Return GA, FGA, PA and FTA of the templates of each line, from their definitions."""
    n = len(true)
    groups_true = {t: {i for i in range(n) if true[i] == t} for t in true}
    groups_found = {f: {i for i in range(n) if found[i] == f} for f in found}
    same = [lines for lines in groups_true.values() if lines in groups_found.values()]
    pure = [f for f, lines in groups_found.items() if {true[i] for i in lines} == {f}]

    def f1(right: int) -> float:
        precision, recall = right / len(groups_found), right / len(groups_true)
        return 2 * precision * recall / (precision + recall) if right else 0.0

    return (
        sum(len(lines) for lines in same) / n,
        f1(len(same)),
        sum(t == f for t, f in zip(true, found, strict=True)) / n,
        f1(len(pure)),
    )


_ALL_WORDS = re.compile(rb"[A-Za-z0-9_\x80-\xff]+|.", re.DOTALL)


def outline(line: bytes, vocabulary: set[bytes], level: int) -> list[bytes]:
    """Return the pieces of a line's outline between its cuts, up to ``level`` of them."""
    out: list[bytes] = [b""]
    n_words = n_masked = n_delimiters = 0
    waiting = b""
    for token in _ALL_WORDS.findall(line):
        is_word, is_wild = _WORD.match(token) is not None, b"".join(out)[-1:] == b"\x01"
        is_masked = is_word and _DIGIT.search(token) is not None
        is_known = is_word and not is_masked and len(token) <= 40 and folded(token) in vocabulary
        if waiting and not (is_word and not is_masked and not is_known):
            out[-1] += waiting
            n_delimiters += 1
            waiting, is_wild = b"", False
        if not is_word and is_wild and token in b"-./:@":
            waiting = token
        elif not is_word:
            out[-1] += token if token > b"\x02" else b"?"
            n_delimiters += 1
        elif is_masked:
            out[-1] += b"\x00"
            n_masked += 1
        elif is_known:
            out[-1] += token
            n_words += 1
        elif not waiting:
            tail = re.search(rb"(?i)(?<=.)(?:error|exception)$", token)
            out[-1] += b"\x01" + (tail[0] if tail else b"")
            n_words += 1
        if is_word:
            waiting = b""
        width = (1, 2, 4, 8, 16)[len(out) - 1]
        if n_words >= width or n_masked >= 4 * width or n_delimiters >= 16 * width:
            if len(out) == level:
                return out
            out.append(b"")
    out[-1] += waiting + b"\x02"
    return out


def folded(word: bytes) -> bytes:
    return bytes(byte | 32 for byte in word)


def collapsed(outlines: dict[str, tuple[bytes, ...]], ladder, cap: int) -> tuple[int, set[tuple[bytes, ...]]]:
    """Return the step and the collapsed buckets of a set of raw shapes, each with its outline."""
    for step, (level, most) in enumerate(ladder):
        sizes: dict[tuple[bytes, ...], int] = {}
        for key in outlines.values():
            sizes[key[:level]] = sizes.get(key[:level], 0) + 1
        if sum(min(n, most + 1) for n in sizes.values()) <= cap:
            return step, {bucket for bucket, n in sizes.items() if n > most}
    raise AssertionError("the last step of the ladder must always do")


_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_PART = r"\d+(?:\.\d+)?(?:[num\xb5\u03bc]?s|[mhd])"
_CLOCK = r"(?:\d{1,3}:[0-5]\d:[0-5]\d(?:[.,]\d+)?|\d\d:[0-5]\d)(?:Z|[+-]\d\d:?\d\d)?"
_YEAR_FIRST = r"\d{4}([-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])"
_YEAR_LAST = r"(?:0?[1-9]|[12]\d|3[01])/(?:0?[1-9]|[12]\d|3[01])/\d{4}"
_OCTET = r"(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_X = "[0-9a-fA-F]"
_NAMED = r"A-Za-z0-9_\x80-\U0010ffff"
FORMS = {
    "integer": r"[+-]?\d+",
    "decimal": _NUMBER,
    "percent": rf"{_NUMBER} ?%",
    "duration": rf"{_NUMBER} ?(?:[num\xb5\u03bc]?s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
    rf"|[+-]?(?:{_PART}){{2,}}",
    "size": rf"{_NUMBER} ?(?:B|[kKMGTPE]B|[KMGTPE]iB|[bB]ytes?)",
    "date": rf"(?:{_YEAR_FIRST}|{_YEAR_LAST})(?:[ T]{_CLOCK})?",
    "time": _CLOCK,
    "hex": rf"0[xX]{_X}+|(?=.*\d)(?=.*[a-fA-F]){_X}{{4,}}",
    "boolean": "(?i:true|false)",
    "ip": rf"/?{_IPV4}(?::\d{{1,5}}|/\d{{1,2}})?",
    "mac": rf"{_X}{{2}}([-:]){_X}{{2}}(?:\1{_X}{{2}}){{4}}",
    "uuid": rf"{_X}{{8}}-{_X}{{4}}-{_X}{{4}}-{_X}{{4}}-{_X}{{12}}",
    "url": r"[A-Za-z][A-Za-z0-9+.-]*://[^ \t\n\r\f\v]+",
    "path": r"(?:/|~/|[A-Za-z]:[/\\])[^ \t\n\r\f\v]*"
    rf"|(?=[^/]*/)(?=.*[.\d])(?=[^\d])[{_NAMED}.][{_NAMED}./+~@-]*",
    "word": r"[^ \t\n\r\f\v]+",
    "text": "(?s:.*)",
}


def form(value: bytes) -> str:
    """Return the type of a value: the first whose form it has."""
    text = value.decode("utf-8", "surrogateescape")
    fits = (
        kind for kind, rule in FORMS.items() if re.fullmatch(rule, text, re.ASCII) or kind == is_ipv6(text)
    )
    return next(fits)


def is_ipv6(text: str) -> str | None:
    """Return "ip" for an IPv6 address that holds a digit, also with a zone, or in brackets with a port."""
    bracketed = re.fullmatch(r"\[([^]]*)\](?::\d{1,5})?", text, re.ASCII)
    address, mark, zone = (bracketed[1] if bracketed else text).partition("%")
    if mark and not re.fullmatch(rf"[{_NAMED}.]+", zone):
        return None
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return None
    return "ip" if re.search("[0-9]", address) else None


def fold_durations(
    told: list[tuple[int, int, float]], *, step: float, most: int, width: int
) -> tuple[dict[tuple[int, int], tuple[int, list[tuple[float, int]], list[tuple[float, int]]]], list[int]]:
    """Of each (speaker, text): how many durations, the first and the last; and the class of lines marked."""
    seen: dict[tuple[int, int], list[tuple[float, int]]] = {}
    highest: dict[tuple[int, int], int] = {}
    classes = [0] * len(told)
    for i, (speaker, text, seconds) in enumerate(told):
        pair = (speaker, text)
        if not seconds >= 0 or (pair not in seen and len(seen) >= most):
            continue
        found = int(math.log(max(seconds, 1e-9) / 1e-9) / math.log(step))
        if found > highest.get(pair, 0):
            highest[pair] = classes[i] = found
        seen.setdefault(pair, []).append((seconds, i))
    return {pair: (len(held), held[:width], held[-width:]) for pair, held in seen.items()}, classes


def see_times(times: list[int], none: int) -> list[int]:
    """What `sums.see_times` keeps of the times of a stream."""
    own = [time for time in times if time != none]
    steps = list(itertools.pairwise(own))
    climbs = [b - a for a, b in itertools.combinations(own, 2)]
    ends = [min(own), max(own), own[0], own[-1]] if own else [none] * 4
    return [*ends, sum(b > a for a, b in steps), sum(b < a for a, b in steps), max([0, *climbs])]


def number_at(text: str, at: int) -> float:
    """Return the number that stands at ``at`` of a text, times what its suffix says; NaN for none."""
    match = re.match(r"([0-9]+(?:\.[0-9]+)?)((?:[kK]|M|G)(?=(?:it)?(?:[^A-Za-z0-9_]|$)))?", text[at:])
    if match is None:
        return math.nan
    times = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}.get(match[2] or "", 1.0)
    return round(float(match[1]) * times) if times > 1 else float(match[1])


def dates_in(text: bytes) -> dict[int, int]:
    """Day number -> how often it is told as 2024-05-07, 2024/05/07 or 05/07/2024, and not within a word."""
    word = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    seen: dict[int, int] = {}
    for order in ("ymd", "mdy"):
        at = 0
        while at < len(text):
            at += _date_at(text, at, order, word, seen) or 1
    return seen


def _date_at(text: bytes, at: int, order: str, word: bytes, seen: dict[int, int]) -> int:
    spell = text[at : at + 10]
    gaps = (4, 7) if order == "ymd" else (2, 5)
    between = b"-/" if order == "ymd" else b"/"
    digits = bytes(c for k, c in enumerate(spell) if k not in gaps)
    if len(spell) < 10 or not digits.isdigit() or any(spell[g] not in between for g in gaps):
        return 0
    if (at and text[at - 1] in word) or text[at + 10 : at + 11].isdigit():
        return 0
    year, month, day = (
        (digits[:4], digits[4:6], digits[6:]) if order == "ymd" else (digits[4:], digits[:2], digits[2:4])
    )
    if not (year.startswith(b"20") and 1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return 0
    with contextlib.suppress(ValueError):
        number = (dt.date(int(year), int(month), int(day)) - dt.date(1970, 1, 1)).days
        seen[number] = seen.get(number, 0) + 1
    return 10
