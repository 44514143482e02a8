"""When Python looks for circular garbage: not while a diagnosis is made.

A diagnosis makes a few hundred thousand small objects that live until it is told, and hardly a circle: to
look through them again and again takes a quarter of the analysis of 10,000 ranks.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_later() -> Iterator[None]:
    """Hold the collector of circular garbage, if it is at work; also a decorator."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
