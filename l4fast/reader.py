"""One part of a job: a `Parser`, a `Fold`, and what the failure library says of each raw shape.

A part reads some of the job's streams; parts are read side by side and joined by
`l4fast.job.join`. New raw shapes, and only they, are shown to the library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from l4fast.buckets import Buckets
from l4fast.canonical import canonical, mask, plain, plain_offsets
from l4fast.columns import Columns
from l4fast.durations import Duration, find_durations
from l4fast.fold import Fold
from l4fast.library import Library, told
from l4fast.parse import Parser
from l4fast.progress import Counter
from l4fast.rawshapes import RawShape, content_place, number_place
from l4fast.regexes import regex
from l4fast.signature import Signature

# Words that failures are told with in any framework. A line that holds one is kept with
# its text; whether it indicates a failure is decided later, against healthy jobs.
FAILURE_WORDS = regex(
    r"(?i)\b(?:\w*error|errors|errno|\w*exception|fail(?:ed|ure|ures|s|ing)?|fatal|traceback|abort(?:ed|ing|s)?"
    r"|kill(?:ed|ing)?|terminat(?:e|ed|ing)|time[sd]?[ -]?out|timeout|panic|segfault|segmentation|core dumped"
    r"|corrupt\w*|unreachable|refused|denied|lost|crash\w*|died|dead|illegal|invalid|out of memory|oom"
    r"|oom-kill\w*|not responding|cannot|can't|could not|couldn't|unable|no space|no such|broken"
    r"|reset by|closed by|disconnect\w*|h[au]ng|stuck|stall\w*|nan|inf|infinity|overflow|missing"
    r"|mismatch\w*|evict\w*|preempt\w*|cancel(?:led|ed|ling)?|sig[a-z]{3,5}|signal|exit(?:ed|s|ing|code)?|bug"
    r"|not found|not available|undefined|uncorrectable|xid|nonzero|non-zero|retry|dropped|warn(?:ing)?)\b"
)


# A bar grows with the number behind it; some are drawn without ends, in characters that are no ASCII.
_BAR_AT_END = regex(r"(?:\|[^|]*\||[^\x00-\x7f]{3,})\s*$")
# A guess at a counter (so small a weight) gives way to anything that is known of the line.
GUESS = -3
_SAVES = ("checkpoint.begin", "checkpoint.accepted", "checkpoint.durable")
# Groups that tell of whom a line speaks.
WHO = frozenset(("rank", "local_rank", "host", "node", "task", "pid", "peer", "address"))
# Lines of at most so many bytes may all be kept where they name somebody: see `Fold.know_raw`.
SHORT = 512
# So much of the text before a counter names it: more would split one counter by what varies.
LEAD_CHARS = 40


@dataclass(frozen=True)
class RawNote:
    """What is known of a raw shape: failures and markers that its first line matches, best first."""

    failures: tuple[Signature, ...]
    markers: tuple[Signature, ...]
    suspect: bool

    @property
    def names(self) -> bool:
        """Whether its lines may tell of a rank, a node, a process or an attempt, each of another."""
        if any(s.marker == "attempt" for s in self.markers):
            return True
        said = (*self.failures[:1], *(s for s in self.markers if s.marker == "identity"))
        return any(WHO & {name.rstrip("0123456789") for name in s.regex.groupindex} for s in said)


class Part:
    """Reads streams into a `Fold`; the library looks at each new raw shape once."""

    def __init__(self, library: Library, *, reference_day: int = 0, buckets: Buckets | None = None) -> None:
        self.library = library
        self.notes: list[RawNote] = []
        self.fold = Fold()
        self.parser = Parser(reference_day=reference_day, on_raw=self._on_raw, buckets=buckets)

    def feed(
        self,
        buf: np.ndarray,
        size: int,
        *,
        stream: int,
        name: str,
        offset: int,
        last: bool,
        see: Callable[[Columns], None] | None = None,
    ) -> Columns:
        """Parse and fold one chunk of whole lines; ``offset`` is its place in the stream.

        ``see`` is shown what was parsed before it is folded.
        """
        info = self.fold.open(stream, name)
        cols = self.parser.feed(buf, size, stream=stream, offset=offset, first_line=info.lines + 1, last=last)
        if see is not None:
            see(cols)
        self.fold.add(cols)
        return cols

    def _on_raw(self, code: int, raw: RawShape) -> None:
        note, counter = look(self.library, raw)
        self.notes.append(note)
        self.fold.know_raw(
            code,
            raw.shape,
            suspect=note.suspect,
            names=note.names and len(raw.masked) <= SHORT,
            content_at=content_place(raw),
            counter=counter,
            durations=_durations(raw),
        )


def _durations(raw: RawShape) -> list[Duration | None]:
    """Return where the lines of a raw shape tell how long steps took; None for what cannot be read."""
    both = raw.lead + raw.content
    found = find_durations(plain(both)[:2000])
    places = [number_place(raw, plain_offsets(both)[begin]) for begin, _ in found]
    return [Duration(at, unit) if at else None for at, (_, unit) in zip(places, found, strict=True)]


def look(library: Library, raw: RawShape) -> tuple[RawNote, Counter | None]:
    """Ask the library about a raw shape: what it tells, and where it counts."""
    text = plain(raw.text)[:2000]
    whole = plain((raw.lead + raw.content).encode("latin-1").decode("utf-8", "replace"))[:2000]
    hits = library.match([text])[0]
    of_bar: list[Signature] = []
    if raw.lead:
        both, of_bar = library.match([whole, plain(raw.lead)[:2000]])
        hits = hits + [s for s in both if s.marker == "progress" and s not in hits]
    # What the bar is drawn for goes on while a message is glued to it.
    markers = (*told(hits)[1], *(s for s in of_bar if s.marker == "stage" and s not in hits))
    failures = tuple(s for s in hits if s.role != "marker")
    suspect = (
        any(s.role in ("root", "consequence", "teardown", "context") for s in failures)
        or any(s.marker == "identity" or (s.marker or "").startswith("checkpoint") for s in markers)
        or raw.header.level in ("warning", "error", "critical")
        or FAILURE_WORDS.search(text) is not None
    )
    counting = [s for s in hits if s.marker == "progress"]
    known = any(s.role != "benign" for s in failures) or any(s.marker != "progress" for s in markers)
    # A message glued to a bar tells nothing of what the bar counts.
    if known if not raw.lead else any(s.marker == "stage" for s in of_bar):
        # What is saved in the line of a step's loss was trained until that step.
        saved = not any(s.role != "benign" for s in failures) and all(
            s.marker in ("progress", *_SAVES) for s in markers
        )
        counting = [s for s in counting if s.weight > GUESS or (saved and "loss" in s.read(whole))]
    return RawNote(failures, markers, suspect), _counter(raw, counting)


def _counter(raw: RawShape, markers: Iterable[Signature]) -> Counter | None:
    """Return where the iteration and its total stand, if the line is a progress line."""
    both = raw.lead + raw.content
    text, offsets = plain(both), plain_offsets(both)
    for signature in markers:
        if signature.marker != "progress":
            continue
        match = signature.regex.search(text)
        if match is None:
            continue
        groups = match.re.groupindex
        if "iteration" not in groups or match.start("iteration") < 0:
            continue
        begin = match.start("iteration")
        iteration_at = number_place(raw, offsets[begin])
        if iteration_at is None:
            continue
        total_at = span_at = rate_at = None
        if "total" in groups and match.start("total") >= 0:
            total_at = number_place(raw, offsets[match.start("total")])
        scale = 0.0
        for name, factor in (("seconds", 1.0), ("ms", 1e-3)):
            if name in groups and match.start(name) >= 0 and span_at is None:
                span_at, scale = number_place(raw, offsets[match.start(name)]), factor
        if "rate" in groups and match.start("rate") >= 0 and span_at is None:
            rate_at = number_place(raw, offsets[match.start("rate")])
        epoch_at = None
        if "epochs" in groups and match.start("epochs") >= 0 and total_at is not None:
            epoch_at = number_place(raw, offsets[match.start("epochs")])
        lead = lead_of(text, begin)
        return Counter((signature.id, lead), iteration_at, total_at, span_at, scale, epoch_at, rate_at)
    return None


def lead_of(text: str, begin: int) -> str:
    """Return the name of a counter whose number begins there: the canonical text before it."""
    lead = _BAR_AT_END.sub("|", text[:begin]).encode("latin-1")
    return canonical(mask(lead)[0])[-LEAD_CHARS:]
