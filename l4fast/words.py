"""What a line says in plain words, where no signature knows it.

The failure that matters is the one that nobody has met. Its lines still say in common words that
something was waited for too long, that a connection was lost, that a process ended; and they name
ranks, processes and exit codes as other lines do.
"""

from __future__ import annotations

from l4fast.regexes import regex

# Words that tell of a failure.
STRONG = regex(
    r"(?i)(?<![\w-])(?:error|fail(?:ed|ure|ures|s|ing)?|fatal|exception|abort(?:ed|ing)?|killed|panic"
    r"|segfault|crash(?:ed|es)?|corrupt(?:ed|ion)?|time[d]?[ -]?out|refused|denied|illegal|out of memory"
    r"|unreachable|died|not respond(?:ing)?|not answer(?:ing)?|no (?:answer|response|reply)"
    r"|cannot|could not|unable to|no such|no space|broken|stuck|lost"
    r"|uncorrectable|core dumped|mismatch)\b"
)
HARMLESS = regex(
    r"(?i)\b(?:no (?:errors?|failures?)|without (?:errors?|failures?)|retry(?:ing)?|will retry|succeeded"
    r"|recovered|ignor(?:e|ed|ing)|warn(?:ing)?s?|deprecat\w*|falling back|fallback"
    r"|error[_ -](?:handling|feedback|rate|correction|file))\b"
)
# The last line of a traceback, or of a C++ one.
EXCEPTION = regex(
    r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Failure|Timeout)\b(?::|$|\()"
    r"|^terminate called"
)
# In order: what names the death of a process says more than how it came to it.
_KINDS = (
    # Drivers preempt queues, and kernels tasks: of the job, a line says who was preempted, or by whom.
    (
        "stop",
        r"due to (?:time limit|preemption)|time limit (?:reached|exceeded)"
        r"|\b(?:was|were|being|been|is) preempted\b|\bpreempted (?:by|in order|at|on)\b"
        r"|\bpreemption (?:notice|signal|warning|event|request)"
        r"|\b(?:job|pod|node|instance|worker|machine|vm)s?\b[^.,;]{0,40}\bpreempt(?:ed|ion)\b",
    ),
    (
        "asked-to-end",
        r"sending (?:process|signal|sig)|closing signal|\bsigterm\b|(?:terminat|kill)ing (?:sub)?process"
        r"|\bsignal:? 15\b|\bcancelled\b|(?:job|step) aborted|asked to (?:end|stop|exit)|death signal"
        r"|shutting down",
    ),
    (
        "death",
        r"\bexit ?code\b|\bexit status\b|exited with|(?:terminated|killed) by signal|\bsignal \d+\b"
        r"|core dumped|segmentation fault|\bgot signal\b|\bsig(?:kill|segv|abrt|bus|fpe)\b"
        r"|process(?:es)? died|: (?:killed|aborted|terminated)\b|\bwas killed\b|killed (?:process|by|with)",
    ),
    (
        "timeout",
        r"\btim(?:e|ed)[ -]?out\b|\btimeout\b|deadline exceeded|waited (?:too long|\S+ (?:s|ms|seconds))",
    ),
    (
        "lost-peer",
        r"connection (?:was )?(?:reset|closed|refused|lost|aborted)|(?:reset|closed) by (?:remote )?peer"
        r"|broken pipe|\bunreachable\b|remote process (?:has )?exited"
        r"|\bpeers?\b.{0,40}\b(?:lost|gone|died|failed)"
        r"|lost (?:connection|contact|heartbeat)|heartbeat.{0,30}(?:lost|missed)",
    ),
    (
        "abort",
        r"taking the (?:entire )?process down|terminate called|\babort(?:ed|ing)?\b|terminating the process",
    ),
)
_KIND = tuple((kind, regex(rf"(?i)(?:{pattern})")) for kind, pattern in _KINDS)
_PLACES = (
    r"\blocal[_ ]?rank\W{0,3}(?P<local_rank>\d{1,3})\b",
    r"(?<!local)(?<!local[_ ])\brank\W{0,3}(?P<rank>\d{1,7})\b",
    r"\b(?:pid|process)\W{0,3}(?P<pid>\d{2,8})\b",
    r"\bexit(?:ed with exit|ed with)?[ _]?(?:code|status)\W{0,9}?(?P<exit_code>-?\d{1,3})\b",
    r"\bsignal:? (?P<signal>\d{1,2})\b",
)
# Whom and what codes a line names, in whatever order: each place is looked for from its beginning.
NAMED = regex("(?is)\\A" + "".join(f"(?=(?:.*?{place})?)" for place in _PLACES))
# Frames of a stack and what is drawn around them.
_FRAME = regex(
    r'^\s*(?:File "|#\d+ |frame #\d+|at \S+\(|\[0x|0x[0-9a-f]+|Traceback|Exception raised from'
    r"|[=\-*_#+|^~ ]{3,}$)"
)


def kind_of(text: str) -> str | None:
    """Return which kind of word in a cascade a line is (see `signature.TELLS`), or None.

    >>> kind_of("srun: error: n3: task 7: Exited with exit code 9"), kind_of("recv: timed out")
    ('death', 'timeout')
    """
    return next((kind for kind, pattern in _KIND if pattern.search(text)), None)


def groups_of(text: str) -> dict[str, str]:
    """Return the ranks, processes and codes that a line names, by the names that signatures use.

    >>> groups_of("rank 3 (pid: 4711) ended, exitcode: -9")
    {'rank': '3', 'pid': '4711', 'exit_code': '-9'}
    """
    match = NAMED.match(text)
    return {name: value for name, value in (match.groupdict() if match else {}).items() if value}


def tells_of_failure(text: str) -> bool:
    """Whether a line tells in common words that something failed.

    >>> tells_of_failure("ValueError: bad shape"), tells_of_failure("all is well")
    (True, False)
    """
    if is_frame(text) or HARMLESS.search(text):
        return False
    said = STRONG.search(text) is not None or EXCEPTION.search(text) is not None
    return said or kind_of(text) is not None


def is_frame(text: str) -> bool:
    """Whether a line is a frame of a stack, or a rule drawn around one."""
    return not text.strip() or _FRAME.match(text) is not None
