"""Templates of LLM training messages, labelled by hand: the data is sound, and the parser finds them.

`data/llm_templates.md` tells the rule that the labels follow. GA, FGA, PA and FTA are those of the
Loghub-2.0 benchmark.

References
----------
Jiang et al. (2024), A Large-Scale Evaluation for Log Parsing Techniques: How Far Are We?
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from l4fast.canonical import VARIABLE
from l4fast.logparser import LogParser

DATA = Path(__file__).parent / "data" / "llm_templates.tsv"

# Where a log tells a host by name: launcher, NCCL and UCC.
HOST = re.compile(
    r"(?m)^(?:\s*\d+: )?([\w.-]+):\d+:\d+ \[\d+\] NCCL"
    r"|(?:Hello from:|Clearing cache on) +(\S+)"
    r"|MASTER_ADDR=([\w.-]+)"
    r"|^(?:\s*\d+: )?\[\d+\.\d+\] \[([\w.-]+):"
)


class Scores(NamedTuple):
    """Grouping and parsing accuracy over messages (GA, PA) and F1 over templates (FGA, FTA)."""

    ga: float
    fga: float
    pa: float
    fta: float


def collapse(text: str) -> str:
    return " ".join(text.split())


def load() -> tuple[list[str], list[str]]:
    """Return the true template and the text of each message."""
    rows = [line.split("\t") for line in DATA.read_text(encoding="utf-8").split("\n")[:-1]]
    truth, messages = zip(*rows, strict=True)
    return list(truth), list(messages)


def fits(template: str, message: str) -> bool:
    """Whether the message is the template with something in place of each ``<*>``."""
    pattern = ".+".join(re.escape(part) for part in template.split(VARIABLE))
    return re.fullmatch(pattern, collapse(message)) is not None


def scores(truth: Sequence[str], found: Sequence[str]) -> Scores:
    """Compare true and found template of each message.

    A true and a found group agree where they hold the very same messages; their template is right
    where, besides, both have the same text.
    """
    pairs = Counter(zip(truth, found, strict=True))
    true_size, found_size = Counter(truth), Counter(found)
    same = {pair: n for pair, n in pairs.items() if n == true_size[pair[0]] == found_size[pair[1]]}
    right = sum(t == f for t, f in same)
    n_groups = len(true_size) + len(found_size)
    return Scores(
        ga=sum(same.values()) / len(truth),
        fga=2 * len(same) / n_groups,
        pa=sum(n for (t, f), n in pairs.items() if t == f) / len(truth),
        fta=2 * right / n_groups,
    )


def parsed(messages: Sequence[str], folder: Path) -> list[str]:
    """Return the template that the parser gives each message, when they are the lines of one log."""
    (folder / "llm.log").write_text("".join(f"{message}\n" for message in messages), encoding="utf-8")
    LogParser("<Content>", folder, folder / "out", keep_para=False).parse("llm.log")
    with open(folder / "out" / "llm.log_structured.csv", newline="", encoding="utf-8") as rows:
        return [row["EventTemplate"] for row in csv.DictReader(rows)]


def test_there_is_enough_to_measure():
    truth, messages = load()
    assert len(messages) >= 350
    assert len(set(truth)) >= 150
    repeated = [message for message, n in Counter(map(collapse, messages)).items() if n > 1]
    assert repeated == []


def test_each_template_fits_its_messages():
    truth, messages = load()
    wrong = [(t, m) for t, m in zip(truth, messages, strict=True) if t != collapse(t) or not fits(t, m)]
    assert wrong == []


def test_no_message_fits_the_template_of_another_as_closely():
    """Else the two labels would contradict each other."""
    truth, messages = load()
    constant = {template: len(template.replace(VARIABLE, "")) for template in truth}
    wrong = [
        (t, other, m)
        for t, m in zip(truth, messages, strict=True)
        for other in constant
        if other != t and constant[other] >= constant[t] and fits(other, m)
    ]
    assert wrong == []


def test_no_message_names_a_host_of_the_real_logs(shared_data):
    logs = sorted((shared_data / "mlperf").glob("*/*.txt"))
    if not logs:
        pytest.skip("the MLPerf logs are not here")
    seen: set[str] = set()
    for log in logs:
        found = HOST.findall(log.read_text(encoding="utf-8", errors="replace"))
        seen.update(name for names in found for name in names)
    hosts = {name for name in seen if any(c.isdigit() for c in name)}
    assert len(hosts) > 200
    words = {word for message in load()[1] for word in re.findall(r"[\w.-]+", message)}
    assert hosts & words == set()


def test_the_scores_by_hand():
    truth = ["a <*>", "a <*>", "b <*>", "b <*>", "c"]

    assert scores(truth, truth) == (1, 1, 1, 1)
    # `a` is found with another text, `b` is split in two of which one has its text, `c` is right.
    found = ["a x", "a x", "b <*>", "b y", "c"]
    assert scores(truth, found) == pytest.approx((3 / 5, 4 / 7, 2 / 5, 2 / 7))
    # Two in one group: neither is right, though the text of one is.
    assert scores(["a", "b"], ["a", "a"]) == pytest.approx((0, 0, 1 / 2, 0))


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Scores:
    truth, messages = load()
    return scores(truth, parsed(messages, tmp_path_factory.mktemp("llm")))


def test_the_parser_finds_most_templates(measured):
    assert measured.ga >= 0.82 and measured.fta >= 0.71, measured


@pytest.mark.xfail(strict=True, reason="plain words with two or three values at hand stay in their templates")
def test_the_parser_finds_nearly_all_templates(measured):
    assert measured.ga >= 0.97 and measured.fta >= 0.97, measured
