"""Ctrl-C and the signals that end a program: what was half written is gone, and the exit code tells which."""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from l4fast import cli, commands
from l4fast.signals import HEEDED, Stopped, heeded
from l4fast.targets import scratch

from programs import interrupt, make_jobs, start

ENDS = [
    (signal.SIGINT, 130, b"interrupted"),
    (signal.SIGTERM, 143, b"terminated"),
    (signal.SIGHUP, 129, b"hung up"),
]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> SimpleNamespace:
    return make_jobs(tmp_path_factory.mktemp("jobs"))


@pytest.mark.parametrize(("number", "code", "word"), ENDS, ids=lambda x: str(x))
def test_a_signal_leaves_nothing_half_written(jobs, tmp_path, number, code, word):
    for arguments in (
        ["parse", jobs.big, "-o", str(tmp_path / "x.parquet"), "--params"],
        ["simulate", "-o", str(tmp_path / "job"), "--nodes", "900", "--iterations", "400"],
        ["demo", "--ranks", "8192"],
    ):
        process = start(*arguments, env={**os.environ, "TMPDIR": str(tmp_path)})
        assert interrupt(process, 0.3, number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (code, b"", b"l4fast: " + word + b"\n")
        assert os.listdir(tmp_path) == []


def test_ctrl_c_while_a_folder_is_removed(tmp_path, monkeypatch):
    remove = shutil.rmtree
    calls = []

    def pressed_at_first(folder: str, **settings: bool) -> None:
        calls.append(folder)
        if len(calls) == 1:
            os.unlink(os.path.join(folder, "a"))
            raise KeyboardInterrupt
        remove(folder, **settings)

    monkeypatch.setattr(shutil, "rmtree", pressed_at_first)
    with pytest.raises(KeyboardInterrupt), scratch("x-", tmp_path) as folder:
        (folder / "a").touch()
        (folder / "b").touch()
    assert os.listdir(tmp_path) == []
    assert len(calls) == 2


TWICE = """
    try:
        print('ready', flush=True)
        time.sleep(60)
    finally:
        print('begun', flush=True)
        time.sleep(0.5)
        print('cleaned', flush=True)
"""


def program(body: str) -> subprocess.Popen[str]:
    """Start a program whose `l4fast warmup` is ``body``."""
    code = (
        "import signal, sys, time\nfrom l4fast import cli, commands\n"
        f"def run(options):\n{body}\ncommands.warmup = run\n"
        "sys.exit(cli.main(['warmup'], is_program=True))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_second_of_two_signals_does_not_end_the_cleaning_up():
    """`timeout` sends its signal to the program, and once more to its group."""
    process = program(TWICE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (143, "cleaned\n", "l4fast: terminated\n")


def test_a_signal_that_others_ignore_stays_ignored():
    """Below `nohup`, a terminal that goes away ends nothing."""
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    code += "from l4fast import cli, commands\n"
    code += "commands.warmup = lambda options: signal.raise_signal(signal.SIGHUP) or 7\n"
    code += "raise SystemExit(cli.main(['warmup']))\n"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7


@pytest.fixture
def usual():
    """The handlers that Python begins with, whatever started the tests."""
    before = {number: signal.signal(number, handler) for number, (_, handler) in HEEDED.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_python_code_gets_its_handlers_back(monkeypatch, usual):
    before = [signal.getsignal(number) for number in (*HEEDED, signal.SIGALRM)]
    during: list[object] = []
    monkeypatch.setattr(
        commands, "warmup", lambda _: during.extend(map(signal.getsignal, HEEDED)) or time.sleep(0) or 0
    )
    assert cli.main(["warmup"]) == 0
    assert len({*during}) == 1 and not {*during} & {*before}
    assert [signal.getsignal(number) for number in (*HEEDED, signal.SIGALRM)] == before


@pytest.mark.parametrize("number", HEEDED, ids=str)
def test_no_signal_counts_once_the_answer_of_a_program_is_out(number):
    with heeded(is_program=False) as answered:
        answered()
        with pytest.raises(Stopped):
            signal.raise_signal(number)
    usual = {each: signal.getsignal(each) for each in HEEDED}
    try:
        with heeded(is_program=True) as answered:
            answered()
            signal.raise_signal(number)
    finally:
        for each, handler in usual.items():
            signal.signal(each, handler)


def test_a_signal_waits_while_a_module_is_imported(tmp_path, monkeypatch, usual):
    """An extension module that asks for another one in its beginning may crash where it gets an exception."""
    (tmp_path / "signalled.py").write_text(
        "import signal\nsignal.raise_signal(signal.SIGINT)\nDONE = [each for each in range(1000)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Stopped), heeded(is_program=False):
        module = importlib.import_module("signalled")
        whole = len(module.DONE)
        time.sleep(10)
    assert whole == 1000


def test_who_heeds_signals_in_an_import_is_not_kept_waiting(tmp_path):
    (tmp_path / "caller.py").write_text(
        "import signal, time\nfrom l4fast.signals import heeded\n"
        "with heeded(is_program=False):\n    signal.raise_signal(signal.SIGINT)\n    time.sleep(10)\n"
    )
    code = (
        "import sys\nsys.path.insert(0, sys.argv[1])\n"
        "try:\n    import caller\nexcept KeyboardInterrupt:\n    print(1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=False, timeout=9
    )
    assert done.stdout == b"1\n"


def test_what_a_signal_broke_off_is_silent_when_it_is_finalised():
    body = """
    class Begun:
        def __init__(self):
            signal.raise_signal(signal.SIGTERM)
            time.sleep(10)
            self.held = 1
        def __del__(self):
            del self.held
    Begun()
"""
    out, err = program(body).communicate(timeout=60)
    assert (out, err) == ("", "l4fast: terminated\n")


def test_a_signal_before_a_program_heeds_any_is_heeded_then():
    code = (
        "import signal\nfrom l4fast.__main__ import program\nimport l4fast.arguments\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\nsignal.raise_signal(signal.SIGINT)\n"
        "raise SystemExit(program())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"l4fast: interrupted\n")
