"""The command line: arguments -> calls. A command imports what it needs when it runs."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from l4fast.arguments import parser
from l4fast.errors import L4Error, UsageError
from l4fast.signals import HEEDED, heeded
from l4fast.terminal import escaped, print_json, say, silence

INTERNAL = L4Error.exit_code


def main(argv: Sequence[str] | None = None, *, is_program: bool = False) -> int:
    """Run one command and return its exit code; every error is one sentence on stderr.

    ``is_program``: nothing comes after it, and so no signal need be heeded once it has answered.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_outputs()
    # Known before the arguments are: wrong ones are told as JSON too.
    wants_json = "--json" in (arguments[: arguments.index("--")] if "--" in arguments else arguments)
    code = 0
    try:
        with heeded(is_program=is_program) as answered, _warnings_as_sentences():
            code = _run(arguments, answered)
            sys.stdout.flush()
        return code
    except KeyboardInterrupt as end:
        number = getattr(end, "number", signal.SIGINT)
        say(f"l4fast: {HEEDED[number][0]}")
        return 128 + int(number)
    except BrokenPipeError:
        silence(sys.stdout)
        return code
    except L4Error as error:
        return _failed(str(error), error.exit_code, error.path, wants_json)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(f"{where}{error.strerror or error}", INTERNAL, error.filename, wants_json)
    except MemoryError:
        return _failed("out of memory: give the paths in smaller groups", INTERNAL, None, wants_json)
    except Exception as error:
        if os.environ.get("L4FAST_TRACEBACK"):
            raise
        what = f"{type(error).__name__}: {error}"
        sentence = f"internal error ({what}); set L4FAST_TRACEBACK=1 to see where, and report it"
        return _failed(sentence, INTERNAL, None, wants_json)


def _run(arguments: Sequence[str], answered: Callable[[], None]) -> int:
    reader = parser()
    try:
        options = reader.parse_args(arguments)
    except SystemExit as end:  # --help, after it was printed
        return int(end.code or 0)
    if options.version:
        from importlib.metadata import version

        print(f"l4fast {version('l4fast')}")
        return 0
    if not options.command:
        raise UsageError("no command (see `l4fast --help`)")
    home = import_module(f"l4fast.{getattr(options, 'home', 'commands')}")
    run: Callable[[Any], int] = getattr(home, options.run)
    options.answered = answered
    return run(options)


@contextmanager
def _warnings_as_sentences() -> Iterator[None]:
    """Show the warnings of the kernels as all others: one sentence on stderr."""
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        # Known by its name: to import it is to wait for the compiler.
        if category.__module__ == "l4fast_kernels.cache":
            say(f"l4fast: warning: {escaped(str(message))}")
        else:
            shown(message, category, *place, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown


def _open_outputs() -> None:
    """Make stdout and stderr take any text: closed ones take it nowhere, narrow ones as escapes."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _failed(sentence: str, code: int, path: object, wants_json: bool) -> int:
    sentence = escaped(sentence)
    say(f"l4fast: {sentence}")
    body = {
        "schema": "l4fast.error/1",
        "exit": code,
        "error": sentence,
        "path": None
        if path is None
        else escaped(os.fsdecode(path) if isinstance(path, bytes) else str(path)),
    }
    with suppress(OSError):
        if wants_json:
            print_json(body)
        sys.stdout.flush()
        return code
    silence(sys.stdout)
    return code
