"""Which counters of programs that nobody knows count the iterations of a training.

Any program may speak of a step: of how to install something, of a learning rate's schedule, of a table.
A counter that went on is one. A log that was cut short may show only one or two of its numbers: they are
believed where the line says what only a training has, a loss above all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from l4fast.bars import is_bar, is_table
from l4fast.canonical import plain
from l4fast.job import Job, Series
from l4fast.reader import lead_of
from l4fast.regexes import regex
from l4fast.signature import Signature

MIN_GUESSED = 3  # values that a counter of an unknown framework must show, if it shows no more
LEAST_TOTAL = 100  # iterations; what has fewer may be the steps of a recipe
_GUESS = -3  # signatures of so small a weight are common words

# What only a training tells beside its counter: its last loss and the like, as numbers that no setting has.
_NUMBER = r"[-+]?(?:\d+\.\d+(?:e[-+]?\d+)?|\d+e[-+]?\d+|nan|inf)(?!\w)"
_OF_TRAINING = r"loss(?:es)?|grad[_ -]?norm|(?:backward|bwd)(?:[-_][a-z]+){0,3}"
_LOSS = regex(
    rf"(?i)(?<![a-z])(?P<of>(?:[a-z]+[_ /.-]){{0,4}})(?:{_OF_TRAINING})"
    rf"['\"]?(?:\s*[:=]\s*|\s+(?:is\s+)?)['\"\[(]{{0,2}}{_NUMBER}"
)
_TRAINING = regex(r"(?i)^\W*train(?:ing)?\W+(?:global[_ ])?(?:step|iter(?:ation)?)\W*$")
# How fast something goes tells of a training where the line says so before its counter.
_TRAINS = regex(r"(?i)(?<![a-z])(?:pre-?train|train|fine-?tun)(?:ing|e)?(?![a-z])")
_SPEED = regex(
    r"(?i)\d ?(?:steps?|it|iter\w*|samples?|examples?|tok\w*|seq\w*|images?|imgs?) ?(?:/|per) ?s(?:ec)?"
)
# No counter, but how much a step takes.
_QUANTITY = regex(r"^(?:\.\d*[1-9]|\s?(?:[mu]?s|sec\w*|min\w*|[KMGT]i?B|%)(?!\w))")
# What else has a loss or a total: an evaluation, a rehearsal, and settings.
_NO_LOSS_OF_TRAINING = regex(r"(?i)(?<![a-z])(?:eval|val|valid|dev|test|max|min|clip|target|best)")
_OTHER_WORK = regex(
    r"(?i)(?<![a-z])(?:eval\w*|val(?:id\w*)?|dev|test\w*|infer\w*|predict\w*|generat(?:e|ed|ing|ion)|sampling"
    r"|sanity|warm\w*|bench\w*|profil\w*|compil\w*|calibrat\w*|auto-?tun\w*|search\w*|clustering"
    r"|download\w*|fetch\w*|extract\w*|convert\w*|tokeni\w*|pre-?process\w*|prepar\w*|build\w*|indexing"
    r"|shard\w*|packing|shuffl\w*|map|filter\w*|cach\w*|reading|scan\w*|load(?:ed|ing)?|resum\w*|restor\w*"
    r"|from|until|every|skip\w*|install\w*)(?![a-z])"
)
_SETTINGS = regex(
    r"(?i)\b(?:namespace|\w*config\w*|\w*args|arguments|hparams|\w*parameters|settings|options)\b\W"
    r"|\b(?:batch|hidden|vocab|micro_batch)[_ -]?size\b\W{1,3}\d"
)


@dataclass(frozen=True)
class Guesses:
    """The counters of a job that only a common word tells of."""

    job: Job
    library: Mapping[str, Signature]

    def is_doubtful(self, series: int, chosen: np.ndarray) -> bool:
        """Whether ``chosen`` numbers (bool[n]) of a counter may well be no iterations."""
        counter = self.job.series[series]
        signature = self.library.get(counter.signature)
        if signature is None:
            return int(chosen.sum()) < MIN_GUESSED or is_table(self.job, series, chosen)
        if not _is_guess(signature, counter.lead):
            return False
        lines = self._lines.get((counter.signature, counter.lead), [])
        if is_table(self.job, series, chosen) or any(_QUANTITY.search(rest) for _, rest in lines):
            return True
        if np.count_nonzero(self.job.iterations.series == series) >= MIN_GUESSED:
            return False
        # Of iterations that are counted anew in each epoch, one tells little.
        by_epoch = "within" in signature.regex.groupindex
        texts = [text for text, _ in lines]
        highest = int(self.job.iterations.iteration[chosen].max())
        return by_epoch or not _is_of_training(counter, texts, highest)

    @cached_property
    def _lines(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """The first lines that count each (signature, lead), and what stands behind their numbers."""
        guesses = {s.signature for s in self.job.series} & self.library.keys()
        signatures = [self.library[name] for name in sorted(guesses) if self.library[name].weight <= _GUESS]
        found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for raw, note in zip(self.job.raws, self.job.notes, strict=True):
            if not any(marker.marker == "progress" for marker in note.markers):
                continue
            text = plain(raw.lead + raw.content)
            for signature in signatures:
                match = signature.regex.search(text)
                if match is not None:
                    name = (signature.id, lead_of(text, match.start("iteration")))
                    found[name].append((text, text[match.end("iteration") :]))
        return found


def _is_guess(signature: Signature, lead: str) -> bool:
    return signature.weight <= _GUESS and not is_bar(lead)


def _is_of_training(counter: Series, texts: Sequence[str], highest: int) -> bool:
    """Whether the few lines of a counter tell that it is a training's."""
    if _OTHER_WORK.search(counter.lead) or any(_SETTINGS.search(text) for text in texts):
        return False
    # A number that is the total is a setting, unless a loss stands beside it.
    on_the_way = counter.total >= LEAST_TOTAL and 0 < highest < counter.total
    trains = _TRAINS.search(counter.lead) is not None and any(_SPEED.search(text) for text in texts)
    training = highest > 1 and (trains or _TRAINING.search(counter.lead) is not None)
    return on_the_way or training or any(_has_loss(text) for text in texts)


def _has_loss(text: str) -> bool:
    return any(not _NO_LOSS_OF_TRAINING.search(match["of"]) for match in _LOSS.finditer(text))
