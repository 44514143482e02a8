"""Who wrote each line: told by labels, by fewer where there are very many."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from l4fast.parse import Parser

from jobs import DAY
from padded import padded


def speakers_of(lines: list[str], most: tuple[int, int], cuts: tuple[int, ...] = ()) -> list[object]:
    """Return the labels of each line's speaker, as they are when all was read."""
    parser, codes = Parser(reference_day=DAY, most_speakers=most), []
    bounds = sorted({0, len(lines), *(cut for cut in cuts if cut < len(lines))})
    for low, high in itertools.pairwise(bounds):
        chunk = "".join(f"{line}\n" for line in lines[low:high]).encode()
        cols = parser.feed(padded(chunk), len(chunk), stream=0, offset=0, first_line=1, last=False)
        codes += cols.speaker.tolist()
    return [parser.speakers[code].labels for code in codes]


def test_process_ids_without_end_tell_no_speakers():
    lines = [f"Mar  2 10:00:0{k % 10} gpu-{k % 2} sshd[{1000 + k}]: closed" for k in range(20)]
    assert speakers_of(lines, (20, 20))[3] == (("host", "gpu-1"), ("pid", "1003"))
    assert speakers_of(lines, (19, 2), (7, 11)) == [(("host", f"gpu-{k % 2}"),) for k in range(20)]


def test_hosts_without_end_tell_no_speakers_either():
    lines = [f"Mar  2 10:00:0{k % 10} gpu-{k} sshd[{1000 + k}]: closed" for k in range(20)]
    assert speakers_of(lines, (5, 19)) == [()] * 20


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=14), st.data())
def test_who_spoke_does_not_depend_on_order_or_cuts(pairs, data):
    lines = [f"Mar  2 10:00:00 gpu-{host} sshd[{1000 + pid}]: closed" for host, pid in pairs]
    cuts = tuple(data.draw(st.lists(st.integers(0, 14), max_size=3)))
    shuffled = data.draw(st.permutations(lines))
    told = dict(zip(lines, speakers_of(lines, (3, 2)), strict=True))
    assert dict(zip(shuffled, speakers_of(shuffled, (3, 2), cuts), strict=True)) == told
