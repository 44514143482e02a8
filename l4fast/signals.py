"""Ctrl-C, and the signals that end a program: a command that is told to stop cleans up behind it first."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

AGAIN_S = 0.01  # after which a signal that got lost comes again
# `timeout` sends its signal twice, to the program and to its group, and people press Ctrl-C twice:
# the second one must not end the cleaning up after the first.
CLEAN_UP_S = 3.0

HEEDED: dict[int, tuple[str, Any]] = {
    signal.SIGINT: ("interrupted", signal.default_int_handler),
    signal.SIGTERM: ("terminated", signal.SIG_DFL),
    signal.SIGHUP: ("hung up", signal.SIG_DFL),
}
"""How each signal is called, and its handler where nobody has chosen another: those of others stay."""

_BOOTSTRAP = "<frozen importlib._bootstrap>"  # the file of the frames in which modules are imported


class Stopped(KeyboardInterrupt):
    """A signal; a plain KeyboardInterrupt that passes an exec() ends Python by the signal, caught or not."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def heeded(*, is_program: bool) -> Iterator[Callable[[], None]]:
    """Raise `Stopped` where a signal comes; in a program of its own, none changes anything afterwards.

    That program may have blocked the signals until now. Yields what a command calls once its answer is out:
    in a program of its own, no signal counts from then on, however long what it read takes to be freed.
    """
    heard = [number for number, (_, usual) in HEEDED.items() if signal.getsignal(number) is usual]

    def answered() -> None:
        for number in heard if is_program else ():
            signal.signal(number, signal.SIG_IGN)

    if not heard or threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    outside = _imports(sys._getframe())  # who calls may be a module that is being imported
    newest, raised_s = signal.SIGINT, -CLEAN_UP_S

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal newest, raised_s
        if number != signal.SIGALRM:
            if time.monotonic() < raised_s + CLEAN_UP_S:
                return
            newest, raised_s = signal.Signals(number), time.monotonic()
        if _imports(frame) > outside or (frame is not None and frame.f_code is again.__code__):
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)  # from there no exception gets out either
        else:
            raise Stopped(newest)

    def again(unraisable: sys.UnraisableHookArgs) -> None:
        # It came while an object was finalised, where no exception gets out: let it come once more,
        # a little later, or it would come right here.
        if isinstance(unraisable.exc_value, Stopped):
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        elif raised_s < 0:  # what a signal broke off need not end well
            hook(unraisable)

    hook = sys.unraisablehook
    sys.unraisablehook = again
    alarm = signal.signal(signal.SIGALRM, stop)
    for number in heard:
        signal.signal(number, stop)
    if is_program:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEEDED)
    try:
        yield answered
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_IGN if is_program else HEEDED[number][1])
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        if raised_s < 0 or not is_program:
            sys.unraisablehook = hook


def _imports(frame: FrameType | None) -> int:
    """Count the imports that are being done: an extension module whose beginning is broken off may crash."""
    n = 0
    while frame is not None:
        n += frame.f_code.co_filename == _BOOTSTRAP
        frame = frame.f_back
    return n
