"""Variables that show by their form, and words that only look like them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.canonical import mask
from l4fast.typed import MASK, joined, typed


def seen(line: str) -> str:
    return typed(mask(line.encode())[0]).replace(MASK, "<*>")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("GET https://host/a/b?c=1 done", "GET https://<*> done"),
        ("read hdfs://nn:9000/user/x, then", "read hdfs://<*>, then"),
        ("open /var/log/app/x.log: failed", "open <*>: failed"),
        ("open(/data/checkpoints/) failed", "open(<*>) failed"),
        ("from src/train/loop.py line 7", "from <*> line <*>"),
        ("GET /v2/servers/detail?tenant=all&x=y now", "GET <*> now"),
        ("instance bcdaabcd-abcd-4abc-abcd-abcdefabcdef up", "instance <*> up"),
        ("instance 01234567-89ab-cdef-abcd-bdccddeeffaa up", "instance <*> up"),
        ("mac aa:bb:cc:d1:ee:ff joined", "mac <*> joined"),
        ("from fe80:0:0:a:b:c:d:e at", "from <*> at"),
        ("to 10.0.0.7:29500 now", "to <*>:<*> now"),
        ("mail to ann.lee@example.org sent", "mail to <*> sent"),
        ("connect proxy.cse.example.edu:5070 open", "connect <*>:<*> open"),
        ("host node-3.cluster.local left", "host <*> left"),
        ("at Sun Jul 10 03:55:15 2005 by", "at <*> <*>:<*>:<*> <*> by"),
        ("loss -0.5 lr 1e-05 scale 1.5E+10", "loss <*> lr <*> scale <*>"),
        ("block blk_-160 and blk_160", "block <*> and <*>"),
        ("version 1.2.3 of torch", "version <*> of torch"),
        ("node-7 and core.12", "node-<*> and core.<*>"),
        ("checksum deadbeefcafe ok", "checksum <*> ok"),
        (
            '{"key": "run_stop", "status": "all done", "n": 3}',
            '{"key": "run_stop", "status": "<*>", "n": <*>}',
        ),
        ("config {'fp': 'half'} x", "config {'fp': '<*>'} x"),
        ('File "/a/b.py", line 12, in forward', 'File "<*>", line <*>, in <*>'),
        ("use <torch.cuda.Stream object at 0x7f> now", "use <*> object at <*> now"),
        ("read config.yaml and epoch.ckpt", "read <*> and <*>"),
        ("at 10:15:30 PM by", "at <*>:<*>:<*> <*> by"),
        ("<memory:1024, vCores:8>", "<memory:<*>, vCores:<*>"),
    ],
)
def test_a_variable_shows_by_its_form(line, expected):
    assert seen(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "org.apache.commons.net started",
        "com.example.Handler.handle failed",
        "read/write and seq/ack/win",
        "torch.distributed.elastic failed",
        "I/O error: no such file or directory",
        "it was may and june",
        "added to the facade",
        "a: b = c",
    ],
)
def test_words_stay_words(line):
    assert seen(line) == line


@given(st.text("ab1/.:-@ \ue000", max_size=60))
def test_what_is_masked_stays_masked(text):
    found = typed(text)
    assert (MASK in text) <= (MASK in found)
    assert joined(found) == found


@pytest.mark.parametrize("piece", ["a.", "a/", "a+", "-a", "a:", "\ue000-", "/a?", "x@", "ab"])
def test_a_long_line_of_one_form_costs_little(piece):
    begin = time.process_time()
    typed(piece * 2000)
    assert time.process_time() - begin < 2  # quadratic would be minutes
