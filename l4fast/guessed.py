"""Which counters of programs that nobody knows count the iterations of a training.

Any program may speak of a step: of how to install something, of a learning rate's schedule, of a table.
A counter that went on is one. A log that was cut short may show only one or two of its numbers: they are
believed where the line says what only a training has, a loss above all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from l4fast.bars import is_bar, is_table
from l4fast.canonical import plain
from l4fast.job import Job
from l4fast.reader import lead_of
from l4fast.regexes import regex
from l4fast.signature import Signature

MIN_GUESSED = 3  # values that a counter of an unknown framework must show, if it shows no more
LEAST_TOTAL = 100  # iterations; what has fewer may be the steps of a recipe
_GUESS = -3  # signatures of so small a weight are common words

# What only a training tells beside its counter: its last loss, as a number that no setting has.
_LOSS = regex(
    r"(?i)(?<![a-z])(?P<of>(?:[a-z]+[_ /.-]){0,4})(?:loss|grad[_ -]?norm)(?:es)?['\"]?"
    r"(?:\s*[:=]\s*|\s+(?:is\s+)?)['\"\[(]{0,2}[-+]?(?:\d+\.\d+(?:e[-+]?\d+)?|\d+e[-+]?\d+|nan|inf)(?!\w)"
)
_TRAINING = regex(r"(?i)^\W*train(?:ing)?\W+(?:global[_ ])?(?:step|iter(?:ation)?)\W*$")
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


def is_doubtful(job: Job, library: Mapping[str, Signature], series: int, chosen: np.ndarray) -> bool:
    """Whether only a common word says that ``chosen`` numbers (bool[n]) of a counter are iterations."""
    counter = job.series[series]
    signature = library.get(counter.signature)
    if signature is not None and (signature.weight > _GUESS or is_bar(counter.lead)):
        return False
    if is_table(job, series, chosen):
        return True
    if np.count_nonzero(job.iterations.series == series) >= MIN_GUESSED:
        return False
    numbers = job.iterations.iteration[chosen]
    return signature is None or not _is_of_training(job, signature, series, numbers)


def _is_of_training(job: Job, signature: Signature, series: int, numbers: np.ndarray) -> bool:
    """Whether the few lines of a counter tell that they are a training's."""
    counter = job.series[series]
    if _OTHER_WORK.search(counter.lead):
        return False
    # Of iterations that are counted anew in each epoch, one tells little.
    if "epoch" in signature.regex.groupindex:
        return False
    texts = list(_lines(job, signature, series))
    if any(_SETTINGS.search(text) for text in texts):
        return False
    # A number that is the total is a setting, unless a loss stands beside it.
    on_the_way = counter.total >= LEAST_TOTAL and 0 < numbers.max() < counter.total
    training = numbers.max() > 1 and _TRAINING.search(counter.lead) is not None
    return on_the_way or training or any(_has_loss(text) for text in texts)


def _lines(job: Job, signature: Signature, series: int) -> Iterator[str]:
    """Yield the first line of each raw shape that a counter has."""
    for raw, note in zip(job.raws, job.notes, strict=True):
        if any(marker.marker == "progress" for marker in note.markers):
            text = plain(raw.lead + raw.content)
            match = signature.regex.search(text)
            if match and lead_of(text, match.start("iteration")) == job.series[series].lead:
                yield text


def _has_loss(text: str) -> bool:
    return any(not _NO_LOSS_OF_TRAINING.search(match["of"]) for match in _LOSS.finditer(text))
