"""`l4fast signatures` and the options that extend the library, as a user meets them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from l4fast.cli import main
from l4fast.library import headings, load
from l4fast.signature import CATEGORIES
from l4fast.signature_file import MOST_BYTES
from l4fast.signature_pages import laid_out, page

MINE = """
[disk-gone]
title    = "The disk is gone"
category = "storage"
role     = "root"
pattern  = 'disk (?P<device>\\w+) vanished'
advice   = "Look for it."
source   = "a test"
matches  = ["the disk sda vanished"]
spares   = ["the disk sda is back"]
"""
LOG = """\
2026-05-07 12:00:00,100 INFO step 1 done
2026-05-07 12:00:01,100 ERROR the disk sdb vanished
2026-05-07 12:00:02,100 WARNING a quokka escaped
"""


@pytest.fixture
def logs(tmp_path: Path) -> str:
    (tmp_path / "job.log").write_text(LOG)
    return str(tmp_path / "job.log")


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.toml").write_text(MINE)
    return str(tmp_path / "mine.toml")


def _told(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    out, err = capfd.readouterr()
    return code, out, err


def test_list_is_a_table_of_contents(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _told(capfd, "signatures", "list", "--category", "network")

    assert code == 0
    assert any(line.startswith("nccl (") and "NCCL" in line for line in out.splitlines())
    rows = [line for line in out.splitlines() if line.startswith("  ")]
    assert any("nccl-ib-completion" in row and "InfiniBand" in row for row in rows)
    known = load().signatures
    assert all(
        "network" in {known[i].category, *(c.category for c in known[i].when)}
        for i in (r.split()[0] for r in rows)
    )


def test_list_takes_a_family_of_categories_a_role_and_words(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = _told(capfd, "signatures", "list", "--category", "hardware", "--json")
    found = json.loads(out)
    assert found["schema"] == "l4fast.signatures/1"
    assert {s["category"] for s in found["signatures"]} > {"hardware.gpu", "hardware.host"}

    _, out, _ = _told(capfd, "signatures", "list", "watchdog", "timeout", "--json", "--role", "consequence")
    found = json.loads(out)["signatures"]
    assert found and all(
        "timeout" in f"{s['id']} {s['title']}".lower() or s["role"] == "consequence" for s in found
    )

    code, _, err = _told(capfd, "signatures", "list", "--category", "gremlins")
    assert code == 64 and all(category in err for category in CATEGORIES)
    assert _told(capfd, "signatures", "list", "--role", "boss")[0] == 64


def test_show_is_its_documentation(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _told(capfd, "signatures", "show", "xid")

    assert code == 0
    xid = load().signatures["xid"]
    for part in (
        xid.title,
        xid.advice,
        xid.source,
        xid.matches[0],
        xid.spares[0],
        "79",
        "explains",
        "culprit",
    ):
        assert part in out
    code, out, _ = _told(capfd, "signatures", "show", "c10d-watchdog-timeout")
    assert "explained by" in out and "an error that tells of its own cause" in out and "only victims" in out


def test_show_as_json_tells_the_edges(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = _told(capfd, "signatures", "show", "c10d-watchdog-timeout", "--json")
    (found,) = json.loads(out)["signatures"]

    assert "xid" in {edge["cause"] for edge in found["explained_by"]}
    assert {edge["cause"] for edge in found["explains"]} == {found["id"]}
    assert found["victims_only"] is True


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nccl-ib-completio", "nccl-ib-completion"),
        ("NCCL-IB-COMPLETIO", "nccl-ib-completion"),
        ("oom", "oom-"),
    ],
)
def test_show_of_what_is_not_there_names_what_is_alike(
    capfd: pytest.CaptureFixture[str], name: str, told: str
) -> None:
    code, _, err = _told(capfd, "signatures", "show", name)

    assert code == 64 and f"{name!r}: did you mean" in err and told in err.partition("did you mean")[2]


def test_show_takes_several_in_any_case_each_once(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _told(capfd, "signatures", "show", "XID", "c10d-watchdog-timeout", "xi*", "--json")

    ids = [s["id"] for s in json.loads(out)["signatures"]]
    assert code == 0 and ids[:2] == ["xid", "c10d-watchdog-timeout"]
    assert len(ids) == len(set(ids)) and all(one.startswith("xi") for one in ids[2:])
    assert _told(capfd, "signatures", "show", "xid", "nobody")[0] == 64


def test_a_page_fits_its_terminal_and_what_is_copied_stays_whole() -> None:
    signature = load().signatures["xid"]
    pairs = page(signature, {"xid": signature})

    narrow = laid_out(pairs, 60)

    told = [line for line in narrow if line[2:9].strip() in ("title", "advice", "role")]
    assert len(told) == 3 and max(map(len, told)) <= 60
    assert f"  {'pattern':<12}  {signature.pattern}" in narrow
    assert "".join("".join(narrow).split()) == "".join("".join(laid_out(pairs, None)).split())
    assert len(narrow) > len(laid_out(pairs, None)) == len(pairs)


def test_list_finds_a_message_and_a_form_of_ids(capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = _told(capfd, "signatures", "list", "fallen off the BUS", "--json")
    found = json.loads(out)["signatures"]
    assert "xid" in {s["id"] for s in found}
    assert set(found[0]) > {"id", "title", "role", "category", "by", "weight", "advice", "source", "kind"}

    _, out, _ = _told(capfd, "signatures", "list", "nccl-*", "--json")
    assert found and all(s["id"].startswith("nccl-") for s in json.loads(out)["signatures"])
    code, out, _ = _told(capfd, "signatures", "list", "quokka")
    assert code == 0 and out.startswith("no signature is like that")


def test_headings_are_whole_sentences() -> None:
    told = headings()

    assert told["gpu_driver.toml"].endswith("health checks")
    assert not [name for name, text in told.items() if len(text) < 10 or text.endswith((",", " and"))]


@pytest.mark.usefixtures("few_signatures")
def test_check_tells_all_that_is_wrong(capfd: pytest.CaptureFixture[str], tmp_path: Path, mine: str) -> None:
    code, out, _ = _told(capfd, "signatures", "check", mine)
    assert code == 0 and "1 signature" in out

    bad = tmp_path / "bad.toml"
    bad.write_text(
        MINE.replace("vanished'", "vanish(ed'")
        + MINE.replace("disk-gone", "disk-b").replace('"storage"', '"gremlins"')
        + MINE.replace("disk-gone", "disk-c").replace(
            "source ", 'explains = [{ what = ["nobody"], where = "node", after_s = [0, 1] }]\nsource '
        )
    )
    code, out, _ = _told(capfd, "signatures", "check", str(bad), "--json")
    (report,) = json.loads(out)["files"]
    assert code == 65 and report["signatures"] == 1
    told = " ".join(report["errors"])
    for part in ("disk-gone: pattern", "disk-b: category", "disk-c: explains.what", str(bad)):
        assert part in told


@pytest.mark.usefixtures("few_signatures")
def test_check_finds_a_circle_and_what_is_replaced(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    circle = 'explains = [{{ what = ["{}"], where = "node", after_s = [0, 1] }}]\nsource '
    path = tmp_path / "circle.toml"
    path.write_text(
        MINE.replace("disk-gone", "oom-killer").replace("source ", circle.format("disk-b"))
        + MINE.replace("disk-gone", "disk-b").replace("source ", circle.format("oom-killer"))
    )

    code, out, _ = _told(capfd, "signatures", "check", str(path))

    assert code == 65 and "circle" in out and "disk-b" in out
    assert "replaces the packaged signature" in out


@pytest.mark.usefixtures("few_signatures")
def test_check_says_who_wins_over_a_signature(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "weak.toml"
    path.write_text(
        MINE.replace("disk (?P<device>\\w+) vanished", "fallen off the bus").replace(
            "the disk sda vanished", "NVRM: Xid (PCI:0000:9b:00): 79, GPU has fallen off the bus."
        )
    )

    code, out, _ = _told(capfd, "signatures", "check", str(path))

    assert code == 0 and "disk-gone: weight: xid" in out


def test_check_of_a_folder_without_signatures(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = _told(capfd, "signatures", "check", str(tmp_path))

    assert code == 64 and str(tmp_path) in err and err.count("\n") == 1


@pytest.mark.usefixtures("few_signatures")
def test_check_goes_on_behind_what_cannot_be_read(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, mine: str
) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"a = '\xff'")
    (tmp_path / "huge.toml").write_bytes(b"#" * (MOST_BYTES + 1))
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000)
    bad = [str(tmp_path / name) for name in ("none.toml", "bytes.toml", "huge.toml", "deep.toml")]

    code, out, _ = _told(capfd, "signatures", "check", *bad, mine)

    assert code == 65 and "mine.toml: 1 signature, all" in out
    for path, reason in zip(bad, ("No such file", "byte 5 is no UTF-8", "is it a log?", "no"), strict=True):
        assert any(line.startswith(f"{path}: ") and reason in line for line in out.splitlines())


@pytest.mark.usefixtures("few_signatures")
def test_check_reads_stdin_and_says_what_holds_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(MINE.encode())))
    assert "-: 1 signature, all" in _told(capfd, "signatures", "check", "-")[1]

    (tmp_path / "empty.toml").write_text("# Nothing yet.\n")
    (tmp_path / "mute.toml").write_text('mute = ["xid", "nobody-*"]\n')
    code, out, _ = _told(capfd, "signatures", "check", str(tmp_path))
    assert code == 0 and "empty.toml: no signature in it" in out
    assert "mute: no signature is called 'nobody-*'" in out and "'xid'" not in out


@pytest.mark.usefixtures("few_signatures")
def test_files_that_are_checked_together_may_explain_each_other(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = 'explains = [{ what = ["disk-b"], where = "node", after_s = [0, 1] }]\nsource '
    (tmp_path / "a.toml").write_text(MINE.replace("source ", own))
    (tmp_path / "b.toml").write_text(MINE.replace("disk-gone", "disk-b"))
    (tmp_path / "c.toml").write_text(MINE)

    code, out, _ = _told(capfd, "signatures", "check", str(tmp_path))
    assert code == 0 and f"c.toml: disk-gone: replaces the signature of that name in {tmp_path}/a.toml" in out
    assert "disk-b: replaces" not in out
    code, out, _ = _told(capfd, "signatures", "check", str(tmp_path / "a.toml"))
    assert code == 65 and "no signature is called 'disk-b'" in out


@pytest.mark.usefixtures("few_signatures")
def test_test_names_hits_and_doubts(capfd: pytest.CaptureFixture[str], logs: str, mine: str) -> None:
    code, out, _ = _told(capfd, "signatures", "test", logs, "--signatures", mine, "--json")
    found = json.loads(out)

    assert code == 0
    (hit,) = [h for h in found["hits"] if h["id"] == "disk-gone"]
    assert (hit["lines"], hit["file"], hit["line"]) == (1, logs, 2)
    assert [(d["line"], d["text"]) for d in found["unnamed"]] == [(3, "a quokka escaped")]
    _, out, _ = _told(capfd, "signatures", "test", logs)
    assert "a quokka escaped" in out and "no signature names" in out


def test_test_shows_the_first_line_and_only_good_ends(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    often = "2026-05-07 12:0{0}:00,100 ERROR layout failed: INVALID_ARGUMENT: size {1}\n"
    ends = "  exitcode  : 1 (pid: 4)\n  exitcode  : 0 (pid: 5)\n"
    lines = often.format(0, "of a") + often.format(1, "4") + often.format(2, "5") + often.format(3, "6")
    (tmp_path / "job.log").write_text("a word\n" + lines + ends)
    _, out, _ = _told(capfd, "signatures", "test", str(tmp_path / "job.log"), "--json")
    hits = {h["id"]: (h["lines"], h["line"]) for h in json.loads(out)["hits"]}
    assert (hits["xla-status"], hits["shell-exit-zero"]) == ((4, 2), (1, 7))


@pytest.mark.usefixtures("few_signatures")
def test_diagnose_with_own_signatures_and_a_mute_list(
    capfd: pytest.CaptureFixture[str], logs: str, mine: str
) -> None:
    _, out, _ = _told(capfd, "diagnose", logs, "--signatures", mine, "--json")
    found = json.loads(out)
    assert found["cause"]["signature"] == "disk-gone" and found["cause"]["advice"] == "Look for it."

    _, out, _ = _told(capfd, "diagnose", logs, "--signatures", mine, "--mute", "disk-*", "--json")
    assert "disk-gone" not in {e["signature"] for e in json.loads(out)["events"]}


@pytest.mark.usefixtures("few_signatures")
def test_a_bad_signature_file_does_not_stop_a_diagnosis(
    capfd: pytest.CaptureFixture[str], logs: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(MINE.replace('"storage"', '"gremlins"'))

    code, out, err = _told(capfd, "diagnose", logs, "--signatures", str(bad), "--json")

    assert code != 65
    (told,) = json.loads(out)["coverage"]["unreadable"]
    assert told["file"] == str(bad) and "disk-gone: category: 'gremlins' is unknown" in told["reason"]
    assert str(bad) in err


@pytest.mark.usefixtures("few_signatures")
def test_learn_adds_to_a_file_once(capfd: pytest.CaptureFixture[str], logs: str, tmp_path: Path) -> None:
    with open(logs, "a") as log:
        log.write("srun: error: n1: task 0: Exited with exit code 1\n")
    _, out, _ = _told(capfd, "diagnose", logs, "--json")
    (tmp_path / "found.json").write_text(out)
    event = next(e["event_id"] for e in json.loads(out)["events"] if "vanished" in e["template"])
    target = tmp_path / "ours.toml"
    target.write_text("# Ours.\n" + MINE)
    ask = ("signatures", "learn", str(tmp_path / "found.json"), "--event", event, "-o", str(target))

    code, _, err = _told(capfd, *ask, "--id", "disk-b", "--category", "storage", "--advice", "Look.")
    assert code == 0 and "disk-b added" in err
    assert (
        target.read_text().startswith("# Ours.\n") and sorted(load([target]).signatures).count("disk-b") == 1
    )
    before = target.read_bytes()
    code, _, err = _told(capfd, *ask, "--id", "disk-b")
    assert code == 64 and "take another --id" in err and target.read_bytes() == before
    for wrong in (
        ("--id", "disk c"),
        ("--id", "x", "--category", "gremlins"),
        ("--id", "x", "--role", "marker"),
    ):
        code, _, err = _told(capfd, *ask, *wrong)
        assert code == 64 and f"{wrong[-2]} {wrong[-1]!r}" in err and target.read_bytes() == before
    target.write_text("what = [")
    code, _, err = _told(capfd, *ask, "--id", "disk-c")
    assert code == 65 and str(target) in err and target.read_text() == "what = ["


def test_learn_says_what_is_known_already(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text("RuntimeError: NCCL error: NVRM: Xid (PCI:0000:9b:00): 79, GPU has fallen off the bus.\n")
    _, out, _ = _told(capfd, "diagnose", str(log), "--json")
    (tmp_path / "found.json").write_text(out)

    code, out, err = _told(capfd, "signatures", "learn", str(tmp_path / "found.json"), "--id", "nccl-info")

    assert code == 0 and "[nccl-info]" in out
    assert "xid names such lines already" in err
    _, _, err = _told(capfd, "signatures", "learn", str(tmp_path / "found.json"), "--id", "xid")
    assert "replaces the packaged signature" in err and "already" not in err


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "l4fast.error/1"}'])
def test_learn_from_what_is_no_diagnosis(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, content: str
) -> None:
    path = tmp_path / "found.json"
    path.write_text(content)

    code, _, err = _told(capfd, "signatures", "learn", str(path), "--id", "x")

    assert code == 65 and str(path) in err and err.count("\n") == 1
