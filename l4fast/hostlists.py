"""Lists of hosts as Slurm writes them: `gpu[01-03,07]`, `c1,c[5-6]-ib`."""

from __future__ import annotations

from l4fast.regexes import regex

MOST_HOSTS = 65_536
_ITEM = regex(r"([\w.\-]*)\[([\d,\-]+)\]([\w.\-]*)|([\w.\-]+)")
_DIGITS = regex(r"(\d+)")


def hosts_in(text: str) -> list[str]:
    """Return the hosts of a list, in its order; at most `MOST_HOSTS`.

    >>> hosts_in("gpu[08-10,12],login1")
    ['gpu08', 'gpu09', 'gpu10', 'gpu12', 'login1']
    """
    found: list[str] = []
    for before, numbers, behind, alone in _ITEM.findall(text):
        if alone:
            found.append(alone)
        for piece in numbers.split(",") if numbers else ():
            low, _, high = piece.partition("-")
            if low.isdigit() and (high.isdigit() or not high):
                last = min(int(high or low), int(low) + MOST_HOSTS)
                found += [f"{before}{n:0{len(low)}}{behind}" for n in range(int(low), last + 1)]
        if len(found) >= MOST_HOSTS:
            break
    return found[:MOST_HOSTS]


def in_order(hosts: set[str]) -> list[str]:
    """Return hosts in the order of the numbers in their names, as a scheduler numbers its nodes."""
    return sorted(hosts, key=lambda host: [(len(part), part) for part in _DIGITS.split(host)])
