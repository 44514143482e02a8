"""Names of hosts that are known by their form: those that clouds, schedulers and makers of machines give.

A form holds more numbers than one, so that none of them can be taken for a counter of files.
"""

from __future__ import annotations

from l4fast.regexes import regex

# An octet has no zero in front; a first one up to 31 other than 10 may be a day, a month or an hour.
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]\d|\d)"
_FIRST = r"(?:10|3[2-9]|[4-9]\d|1\d\d|2[0-4]\d|25[0-5])"
_DASHED = rf"{_FIRST}(?:-{_OCTET}){{3}}"
_DASHED_ADDRESS = regex(_DASHED)
_DOTTED_ADDRESS = regex(rf"(?<![A-Za-z0-9])(?<!\d\.){_FIRST}(?:\.{_OCTET}){{3}}(?![A-Za-z0-9]|\.\d)")
_FORMS = regex(
    r"(?P<host>(?:"
    r"ip-\d{1,3}(?:-\d{1,3}){3}"
    rf"|(?:[A-Za-z][A-Za-z0-9]*-){{0,3}}{_DASHED}"
    r"|gke-[a-z][a-z0-9-]*-[0-9a-f]{8}-[a-z0-9]{4}"  # cluster, pool, its template, the machine
    # Azure counts the machines of a scale set in base 36.
    r"|[A-Za-z][A-Za-z0-9-]*?vmss(?:[0-9]{3}[0-9A-Za-z]{3}|0{4}[0-9A-Za-z]{4}|0{6}[0-9A-Za-z]{1,4})"
    # ParallelCluster: queue, static or dynamic, kind of machine, number.
    r"|(?:[a-z][a-z0-9]*-){1,4}(?:st|dy)-(?:[a-z0-9]*[a-z][a-z0-9]*-){1,4}\d{1,5}"
    r"|VM-\d{1,3}-\d{1,3}-[a-z][a-z0-9]*"  # Tencent: the end of its address, its system
    r"|x\d{1,5}c\d{1,2}s\d{1,2}b\d{1,2}(?:n\d{1,2})?"  # Cray EX: cabinet, chassis, slot, board, node
    r"|c\d{1,2}-\d{1,2}c\d{1,2}s\d{1,2}n\d{1,2}"  # Cray XC
    r"|[rR]\d{1,3}[iI]\d{1,3}[nN]\d{1,3}"  # SGI ICE: rack, unit, node
    r"|[A-Za-z]{0,3}-?r\d{1,3}u\d{1,3}(?:n\d{1,2})?"  # rack, unit
    r"))(?![A-Za-z0-9])"
)
_DOMAINS = (
    "local|localdomain|internal|intern|lan|cluster|hpc|edu|org|com|net|gov|io|ai"
    "|at|au|be|ca|ch|cn|cz|de|dk|es|eu|fi|fr|in|it|jp|kr|nl|no|pl|se|sg|tw|uk|us"
)
_WITH_DOMAIN = regex(
    rf"(?<![A-Za-z0-9-])([A-Za-z][A-Za-z0-9-]*\d[A-Za-z0-9-]*)(?:\.[a-z][a-z0-9-]*)*\.(?:{_DOMAINS})(?![A-Za-z0-9-])"
)


def is_dashed_address(name: str) -> bool:
    """Whether a name is an address with hyphens, as some clouds call their machines.

    >>> is_dashed_address("10-0-3-45"), is_dashed_address("26-08-01-12")
    (True, False)
    """
    return _DASHED_ADDRESS.fullmatch(name) is not None


def address_in(part: str) -> str | None:
    """Return the address in the name of a file or folder, if there is one.

    >>> address_in("10.12.0.36"), address_in("dmesg_10.12.0.36"), address_in("v1.2.3.4")
    ('10.12.0.36', '10.12.0.36', None)
    """
    match = _DOTTED_ADDRESS.search(part)
    return match[0] if match else None


def host_of_form(joined: str) -> str | None:
    """Return the host with which words that are joined by hyphens begin, if its form is known.

    >>> host_of_form("r0i3n1"), host_of_form("ip-10-0-3-45-7"), host_of_form("run-3-7")
    ('r0i3n1', 'ip-10-0-3-45', None)
    """
    match = _FORMS.match(joined)
    return match["host"] if match else None


def host_with_domain(part: str) -> str | None:
    """Return the host that stands before a domain.

    >>> host_with_domain("train_gpu13.hpc.uni.edu"), host_with_domain("gpu13.train")
    ('gpu13', None)
    """
    match = _WITH_DOMAIN.search(part)
    return match[1] if match else None
