"""What README shows works: its example of a signature, and its words for a signature's keys."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from l4fast.cli import main
from l4fast.library import load
from l4fast.signature import ACTIONS, DECIDING, NAMES, ROLES, SPEAKERS, TELLS
from l4fast.signature_file import _KEYS

README = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")


def _example() -> str:
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    return block


def test_the_example_of_a_signature_passes_all_checks(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(_example().encode())))

    code = main(["signatures", "check", "-", "--json"])

    (report,) = json.loads(capfd.readouterr().out)["files"]
    assert code == 0 and report == {"file": "-", "signatures": 1, "errors": [], "notes": []}


def test_the_example_means_what_its_cases_say(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(_example())
    library = load([path])
    (signature,) = [s for s in library.signatures.values() if s.file == "ours.toml"]

    for sample in signature.matches:
        assert library.match([sample])[0][0] is signature
    told = {library.resolve(signature, signature.read(line)).category for line in signature.matches}
    assert told == {"network", "hardware.host"}
    assert library.signatures["benign-hostname-lookup"].role == "benign"


def test_the_table_of_keys_names_every_key_and_value() -> None:
    table = README.partition("| key | meaning |")[2].partition("\n\n")[0]
    told = set(re.findall(r"`\[?([\w.-]+)\]?`", table))

    assert told >= {*_KEYS, *ROLES, *NAMES, *TELLS, *SPEAKERS, *ACTIONS, *DECIDING}
