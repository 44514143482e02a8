"""The failure library: its samples, its rules, its two engines, its cache."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from l4fast import database, library
from l4fast.errors import SignatureError, UsageError
from l4fast.library import Library, load, load_library, told
from l4fast.signature import MARKERS, MAX_CHARS, ROLES
from l4fast.signature_file import parse, read

GOOD = """
[disk-gone]
title    = "The disk is gone"
category = "storage"
role     = "root"
pattern  = 'disk (?P<device>\\w+) vanished \\(status (?P<status>\\d+)\\)'
when     = [
    { values = { status = ["0"] }, role = "benign" },
    { values = { status = ["7*"] }, title = "Seven" },
]
source   = "a test"
matches  = ["the disk sda vanished (status 3)"]
spares   = ["the disk sda is back"]
"""


@pytest.fixture(scope="module")
def packaged() -> Library:
    return load()


def _samples(lib: Library) -> list[str]:
    return sorted({sample for s in lib.signatures.values() for sample in (*s.matches, *s.spares)})


def _ids(lib: Library, text: str) -> set[str]:
    return {signature.id for signature in lib.match([text])[0]}


def test_every_signature_hits_its_matches_and_spares_its_spares(packaged: Library) -> None:
    for signature in packaged.signatures.values():
        for sample in signature.matches:
            assert signature.id in _ids(packaged, sample)
        for sample in signature.spares:
            assert signature.id not in _ids(packaged, sample)


def test_hyperscan_and_re_agree(packaged: Library) -> None:
    odd = ["", "\x00", "é" * 3000, "\udc80 torn", "100%|████| 5/5 [00:01<00:00, 5.00it/s]", "x" * 5000]
    # What moves is where a text begins in bytes, whatever it says.
    odd += [f"é… {sample} …é" for sample in _samples(packaged)[::4]]
    texts = _samples(packaged) + odd
    ranked = list(packaged.signatures.values())

    for text, hits in zip(texts, packaged.match(texts), strict=True):
        expected = [s for s in ranked if s.regex.search(text[:MAX_CHARS])]
        assert [s.id for s in hits] == [s.id for s in expected], text


@pytest.mark.parametrize("width", [11, 16, 23])
def test_hyperscan_finds_a_sample_wherever_it_begins(packaged: Library, width: int) -> None:
    """Of the same patterns Hyperscan missed a hit at some places in a line and found it at others."""
    wanted = [(s, f"{'x' * width} {sample}") for s in packaged.signatures.values() for sample in s.matches]
    for (signature, line), hits in zip(wanted, packaged.match([line for _, line in wanted]), strict=True):
        if signature.regex.search(line[:MAX_CHARS]):
            assert signature in hits, line


def test_works_without_hyperscan(packaged: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "hyperscan", None)
    texts = _samples(packaged)[::7]

    slow = Library(packaged.signatures.values())

    assert slow.match(texts) == packaged.match(texts)


def test_ids_are_unique_across_the_packaged_files() -> None:
    names = [
        name
        for path in library.PACKAGED.glob("*.toml")
        for name, table in tomllib.loads(path.read_text("utf-8")).items()
        if isinstance(table, dict)
    ]

    assert len(names) == len(set(names)) > 1000


def test_every_role_and_marker_is_used(packaged: Library) -> None:
    signatures = packaged.signatures.values()

    assert {s.role for s in signatures} == set(ROLES)
    assert {s.marker for s in signatures if s.marker} == set(MARKERS)


@pytest.mark.parametrize(
    ("line", "role", "category"),
    [
        ("failed (exitcode: -9) local_rank: 5 (pid: 2630) of binary: /usr/bin/python3", "root", "platform"),
        ("failed (exitcode: -11) local_rank: 5 (pid: 2630) of binary: python3", "root", "framework"),
        ("failed (exitcode: 1) local_rank: 5 (pid: 2630) of binary: python3", "consequence", "user.code"),
        ("  exitcode  : -15 (pid: 12)  (SIGTERM)", "consequence", "platform"),
        ("srun: error: n3: task 7: Exited with exit code 137", "root", "platform"),
        ("OSError: [Errno 28] No space left on device: '/ckpt'", "root", "storage"),
        ("OSError: [Errno 24] Too many open files", "root", "resource"),
        ("ConnectionResetError: [Errno 104] Connection reset by peer", "consequence", "network"),
        (
            "NVRM: Xid (PCI:0000:9b:00): 79, pid=7, name=x, GPU has fallen off the bus.",
            "root",
            "hardware.gpu",
        ),
        ("NVRM: Xid (PCI:0000:9b:00): 31, pid=7, name=x, MMU Fault", "root", "framework"),
        ("NVRM: Xid (PCI:0000:9b:00): 154, GPU recovery action changed", "consequence", "hardware.gpu"),
        ("host-7: exit 3", "consequence", "user.code"),
        ("host-7: exit 0", "benign", "user.code"),
        ("step: 12  loss:  nan  grad_norm:  nan", "root", "numeric"),
        ("NET/IB : Got completion from peer 10.0.0.7<4> with status=5 opcode=1", "teardown", "network"),
        ("my.own.error.CacheCorruptError: entry 7", "root", "user.code"),
        ("checks done: no errors", "benign", None),
        ("Traceback (most recent call last):", "context", None),
    ],
)
def test_what_a_line_means_depends_on_its_values(
    packaged: Library, line: str, role: str, category: str | None
) -> None:
    meaning, _ = told(packaged.match([line])[0])
    assert meaning is not None

    resolved = packaged.resolve(meaning, meaning.read(line))

    assert (resolved.role, resolved.category) == (role, category)


@pytest.mark.parametrize(
    ("line", "marker", "values"),
    [
        (
            " iteration       12/  500 | elapsed time per iteration (ms): 90.5 | lm loss: 1.5E+00 |",
            "progress",
            {"iteration": "12", "total": "500", "ms": "90.5", "loss": "1.5E+00"},
        ),
        (
            "completed step: 4, seconds: 5.6, loss: 11.1",
            "progress",
            {"iteration": "4", "seconds": "5.6", "loss": "11.1"},
        ),
        (
            "successfully saved checkpoint from iteration    100 to /c [ t 1/1 ]",
            "checkpoint.durable",
            {"iteration": "100", "path": "/c"},
        ),
        (
            "Finished saving the checkpoint (or staging if async is enabled) in 1.2 seconds.",
            "checkpoint.accepted",
            {},
        ),
        (
            "rank 5 of 8 ready on node-3",
            "identity",
            {"rank": "5", "world": "8", "host": "node-3"},
        ),
    ],
)
def test_markers_carry_their_values(
    packaged: Library, line: str, marker: str, values: dict[str, str]
) -> None:
    _, markers = told(packaged.match([line])[0])
    (found,) = [m for m in markers if m.marker and m.marker.startswith(marker.partition(".")[0])]

    assert found.marker == marker
    assert found.read(line) == values


def test_a_progress_line_may_tell_of_a_failure_too(packaged: Library) -> None:
    meaning, markers = told(packaged.match(["{'loss': nan, 'grad_norm': 1.0, 'epoch': 0.1}"])[0])

    assert meaning is not None and meaning.id == "nan-in-progress"
    assert [m.marker for m in markers] == ["progress"]


def test_what_a_line_begins_with_beats_harmless_words_in_it() -> None:
    """A shell quotes the whole command that was killed: any of its options may sound harmless."""
    common = 'title = "t"\nsource = "common: x"\nspares = ["y"]\n'
    page = parse(
        (
            f"[quoted]\n{common}role = 'benign'\npattern = '--port=[0-9]+'\nmatches = ['--port=1']\n"
            f"[killed]\n{common}role = 'root'\ncategory = 'platform'\npattern = '^[a-z.]+: Killed '\n"
            "matches = ['run.sh: Killed python']\n"
        ).encode(),
        Path("mine.toml"),
    )
    quoted, killed = page.signatures

    assert told([quoted, killed])[0] is killed
    assert told([quoted])[0] is quoted
    assert told([replace(quoted, weight=6), killed])[0].id == "quoted"
    assert told([replace(quoted, pattern="^--port=[0-9]+"), killed])[0].id == "quoted"


@pytest.mark.usefixtures("few_signatures")
def test_the_first_case_that_fits_wins(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    lib = load([file])
    mine = lib.signatures["disk-gone"]

    assert mine.read("disk sdb vanished (status 71)") == {"device": "sdb", "status": "71"}
    assert lib.resolve(mine, {"status": "0"}).role == "benign"
    assert lib.resolve(mine, {"status": "71"}).title == "Seven"
    assert lib.resolve(mine, {"status": "5"}).title == "The disk is gone"
    assert lib.resolve(mine, {}).role == "root"


@pytest.mark.usefixtures("few_signatures")
def test_a_folder_adds_and_overrides(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD.replace("disk-gone", "oom-killer"))
    (tmp_path / "b.toml").write_text(GOOD)

    lib = load([tmp_path])

    assert lib.signatures["oom-killer"].title == "The disk is gone"
    assert lib.signatures["disk-gone"].file == "b.toml"
    assert "disk-gone" not in load().signatures


@pytest.mark.usefixtures("few_signatures")
@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ('matches  = ["the disk sda vanished (status 3)"]\n', "", "matches", "missing or empty"),
        ('spares   = ["the disk sda is back"]', "spares = []", "spares", "missing or empty"),
        ("the disk sda vanished", "the disk sda is well", "matches", "does not match"),
        ("the disk sda is back", "disk x vanished (status 3)", "spares", "the pattern matches"),
        ("vanished \\(status", "vanished (status", "pattern", "no regular expression"),
        ("'disk (?P", "'(?=d)disk (?P", "pattern", "lookaround"),
        ("<status>\\d+)\\)'", "<status>\\d+).*'", "pattern", "repeated dot"),
        ('role     = "root"', 'role = "boss"', "role", "unknown"),
        ('category = "storage"', 'category = "gremlins"', "category", "unknown"),
        ('category = "storage"\n', "", "category", "missing"),
        ('title    = "The disk is gone"\n', "", "title", "missing"),
        ('source   = "a test"', 'source = "a test"\ncolour = "red"', "colour", "unknown key"),
        ('source   = "a test"', 'source = "a test"\nweight = "high"', "weight", "no integer"),
        ('source   = "a test"', 'source = "a test"\nmarker = "progress"', "marker", "if, and only if"),
        ('role     = "root"', 'role = "marker"\nmarker = "stage"', "stage", "missing"),
        ('status = ["0"]', 'errno = ["0"]', "when.values.errno", "no group"),
        ('status = ["0"]', 'device = ["0"]', "when.values.device", "no group"),
        ("[disk-gone]", "[disk-gone", "disk-gone", "not a TOML file"),
    ],
)
def test_a_bad_file_is_refused_by_file_key_and_reason(
    tmp_path: Path, old: str, new: str, key: str, reason: str
) -> None:
    assert old in GOOD
    file = tmp_path / "bad.toml"
    file.write_text(GOOD.replace(old, new))

    with pytest.raises(SignatureError) as caught:
        parse(file.read_bytes(), file)

    text = str(caught.value)
    assert str(file) in text and reason in text
    assert "TOML" in reason or f"disk-gone: {key}: " in text
    assert caught.value.path == str(file)
    (problem,) = load([file]).problems
    assert problem.file == str(file) and reason in problem.reason and problem.goes_on


@pytest.mark.usefixtures("few_signatures")
def test_a_pattern_that_only_hyperscan_refuses_is_named(tmp_path: Path) -> None:
    pytest.importorskip("hyperscan")
    file = tmp_path / "bad.toml"
    file.write_text(GOOD.replace("'disk (?P", "'(?:ab{1,9}c{1,999}){900}|disk (?P"))

    (problem,) = load([file]).problems

    assert problem.file == str(file) and "disk-gone: pattern: Hyperscan" in problem.reason


@pytest.mark.usefixtures("few_signatures")
def test_what_is_wrong_with_one_file_leaves_the_others_in_use(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD)
    (tmp_path / "b.toml").write_text(GOOD.replace("disk-gone", "disk-well").replace('"root"', '"boss"'))
    (tmp_path / "c.toml").mkdir()

    for lib in (load([tmp_path, tmp_path / "none.toml"]), load([tmp_path, tmp_path / "none.toml"])):
        assert "disk-gone" in lib.signatures and "disk-well" not in lib.signatures
        told = {Path(problem.file).name: problem.reason for problem in lib.problems}
        assert set(told) == {"b.toml", "c.toml", "none.toml"}
        assert "disk-well: role" in told["b.toml"] and "No such file" in told["none.toml"]
    (tmp_path / "none.toml").write_text(GOOD.replace("disk-gone", "disk-none"))
    assert "disk-none" in load([tmp_path, tmp_path / "none.toml"]).signatures


@pytest.mark.usefixtures("few_signatures")
def test_a_folder_without_signatures_is_told(tmp_path: Path) -> None:
    (problem,) = load([tmp_path]).problems

    assert "no signature file" in problem.reason


@pytest.mark.usefixtures("few_signatures")
def test_a_program_that_asks_for_signatures_hears_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        load_library([tmp_path / "none"])
    with pytest.raises(UsageError, match="no signature file in it"):
        load_library([tmp_path])
    (tmp_path / "a.toml").write_text(GOOD)
    (tmp_path / "b.toml").write_text(GOOD.replace('"root"', '"boss"'))
    with pytest.warns(UserWarning, match="b.toml: signatures left out"):
        assert "disk-gone" in load_library([tmp_path]).signatures


def test_all_that_is_wrong_with_a_file_is_told_at_once() -> None:
    twice = GOOD + GOOD.replace("disk-gone", "disk-well").replace('"storage"', '"gremlins"')
    thrice = twice + GOOD.replace("disk-gone", "disk-ill").replace('"root"', '"boss"')

    page, errors = read(thrice.encode(), Path("mine.toml"))

    assert [s.id for s in page.signatures] == ["disk-gone"]
    assert ["category" in str(errors[0]), "role" in str(errors[1])] == [True, True]


@pytest.mark.usefixtures("few_signatures")
def test_a_muted_signature_makes_its_lines_harmless(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('mute = ["oom-*", "progress-megatron", "nothing"]\n' + GOOD)
    line = "Out of memory: Killed process 4711 (python3)"
    heard, _ = told(load().match([line])[0])
    assert heard is not None and heard.role == "root"

    lib = load([tmp_path], mute=["disk-gone"])

    assert lib.signatures["oom-killer"].role == lib.signatures["disk-gone"].role == "benign"
    assert [problem.reason for problem in lib.problems] == ["mute: no signature is called 'nothing'"]
    assert "progress-megatron" not in lib.signatures
    assert "disk-gone" not in load(mute=["oom-*"]).signatures


@pytest.mark.parametrize(
    ("explains", "reason"),
    [
        ('{ what = ["x"], where = "node" }', "explains.after_s: is missing"),
        ('{ what = ["x"], where = "moon", after_s = [0, 1] }', "explains.where: 'moon' is unknown"),
        ('{ what = ["x"], where = "node", after_s = [2, 1] }', "explains.after_s: [2, 1] is no pair"),
        ('{ what = ["x"], where = "node", after_s = [0, "a"] }', "explains.after_s"),
        ('{ what = [], where = "node", after_s = [0, 1] }', "explains.what"),
        ('{ what = ["tells:joy"], where = "node", after_s = [0, 1] }', "'tells:joy' is unknown"),
        ('{ what = ["x"], where = "node", after_s = [0, 1], how = 1 }', "explains.how: unknown key"),
        ('"x"', "explains: each is a table"),
    ],
)
def test_what_explains_may_hold(explains: str, reason: str) -> None:
    text = GOOD.replace('source   = "a test"', f'source = "a test"\nexplains = [{explains}]')

    with pytest.raises(SignatureError) as caught:
        parse(text.encode(), Path("mine.toml"))

    assert "mine.toml: disk-gone: " in str(caught.value) and reason in str(caught.value)


def _cache_files() -> list[Path]:
    return sorted((Path(os.environ["XDG_CACHE_HOME"]) / "l4fast").iterdir())


def test_the_second_load_uses_the_cache(
    packaged: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert packaged.signatures

    def forbidden(*_: object) -> None:
        raise AssertionError("parsed again")

    monkeypatch.setattr(library, "parse", forbidden)
    again = load()

    assert dict(again.signatures) == dict(packaged.signatures)
    assert _ids(again, "CUDA out of memory. Tried to allocate 2.00 GiB") >= {"cuda-oom"}


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other"])
def test_a_damaged_cache_is_made_anew(
    packaged: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(library, "PACKAGED", tmp_path / "few")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "a.toml").write_text(GOOD)
    load()
    (cache,) = _cache_files()
    whole = cache.read_bytes()
    middle = len(whole) // 2
    cache.write_bytes(
        {
            "empty": b"",
            "cut": whole[:middle],
            "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "other": b"something else entirely",
        }[damage]
    )

    lib = load()

    assert _ids(lib, "the disk sda vanished (status 3)") == {"disk-gone"}
    assert cache.read_bytes() == whole
    assert _cache_files() == [cache]


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "a.toml").write_text(GOOD)
    (tmp_path / "a-file").write_text("")
    monkeypatch.setattr(library, "PACKAGED", tmp_path / "few")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a-file"))

    assert list(load().signatures) == ["disk-gone"]


def test_many_processes_may_load_at_once(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from l4fast import library;"
        f"library.PACKAGED = Path({str(tmp_path / 'few')!r});"
        "print([s.id for s in library.load().match(['disk sda vanished (status 3)'])[0]])"
    )
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "a.toml").write_text(GOOD)
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]

    assert [p.communicate(timeout=60)[0].strip() for p in running] == ["['disk-gone']"] * 4
    assert len(list((tmp_path / "cache" / "l4fast").iterdir())) == 1


def test_many_threads_may_match_at_once(packaged: Library) -> None:
    texts = _samples(packaged)[:200]
    expected = packaged.match(texts)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(packaged.match, [texts] * 8))

    assert answers == [expected] * 8


SOURCE = re.compile(r"[\w.-]+/[\w.-]+: \S|https://\S|common: \S")


def test_every_signature_says_where_it_comes_from_and_what_to_do(packaged: Library) -> None:
    vague = {s.id: s.source for s in packaged.signatures.values() if not SOURCE.match(s.source)}
    silent = [
        s.id
        for s in packaged.signatures.values()
        if s.role in ("root", "consequence") and not s.advice and not all(case.advice for case in s.when)
    ]

    assert vague == {}
    assert silent == []


def test_a_file_may_say_who_prints_its_lines() -> None:
    page = parse(f'by = "kernel"\n{GOOD}'.encode(), Path("mine.toml"))
    other = parse(GOOD.replace("source ", 'by = "launcher"\nsource ').encode(), Path("mine.toml"))
    _, errors = read(f'by = "moon"\n{GOOD}'.encode(), Path("mine.toml"))

    assert [s.by for s in (*page.signatures, *other.signatures)] == ["kernel", "launcher"]
    assert "mine.toml: by: 'moon' is unknown" in str(errors[0])
