"""Line prefixes: where time, level, host, rank and the message itself stand in a line.

Launchers, shippers and loggers each put something before a line, and they nest: CRI, then
srun's label, then torchrun's tee, then `[rank3]:`, then glog or Python logging. `peel`
takes them off one by one until none is left.

It is called once per shape, with the *masked* text: every word that holds a digit is one
MASK character. So ``12: x``, ``E12: x`` and ``node07: x`` are peeled alike, and a `Field`
says only *where* something stands and what it may be; the reader of the line decides:

- ``label`` and ``bracket`` may be a task, a rank, a local rank, a host or (Open MPI's
  ``[host:pid]``) a process; only the whole column can tell.
- ``time.us`` is ``M/M/M M:M:M``: the year stands last or, with four digits, first.
- ``time.boot`` is seconds.micros since boot, or microseconds where it has no dot (kmsg);
  a value above 1e9 s is an epoch, since the two are masked alike.
- ``time.glog`` starts with the level letter, so `Header.level` is None there.
- the first word of a time may carry a colour code that was glued to it (``32m2026``).

Where several prefixes tell a level, the innermost wins: container platforms stamp all of
stderr as an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from l4fast.canonical import MASK
from l4fast.envelopes import ISO, LEVELS, US, Field, open_json

__all__ = ["Field", "Header", "peel"]


@dataclass(frozen=True, slots=True)
class Header:
    """What stands around the content of a line.

    Attributes
    ----------
    fields : tuple of Field
        Ordered, disjoint spans of the masked text.
    level : str or None
        debug, info, warning, error or critical, as far as the masked text shows it.
    layouts : tuple of str
        The prefixes peeled, outermost first.
    start, end : int
        The content is ``masked[start:end]``; what follows ``end`` belongs to an envelope.
    """

    fields: tuple[Field, ...]
    level: str | None
    layouts: tuple[str, ...]
    start: int
    end: int


# What may come next depends on what was peeled before.
_OUTER = 1  # only a transport so far: a bare label such as `12: ` may follow
_BOOT = 2  # a kernel line may follow
_LOG = 4  # a time or level was read: level, logger name, location and rank may follow
_GLOG = 8  # a C++ header was read: `[c10d]` after it is a component, not a rank
_TRANSPORT = _OUTER | _BOOT

_Match = Callable[[str, int, int], "re.Match[str] | None"]


@dataclass(frozen=True, slots=True)
class _Rule:
    """One prefix: where it may stand, its pattern, what it leaves possible."""

    name: str
    match: _Match
    kinds: tuple[tuple[int, str], ...]
    level: int
    first: str  # its first characters; "" for any
    needs: int
    forbids: int
    keeps: int
    sets: int
    indented: bool  # may stand after blanks: only what cannot be mistaken


def _rule(
    name: str,
    pattern: str,
    first: str,
    *,
    needs: int = 0,
    forbids: int = 0,
    keeps: int = 0,
    sets: int = 0,
    indented: bool = False,
) -> _Rule:
    """Compile a rule; a named group is a field (`time_iso` -> "time.iso", `rank2` -> "rank")."""
    compiled = re.compile(pattern)
    groups = {index: group for group, index in compiled.groupindex.items()}
    kinds = tuple(
        (index, group.rstrip("23").replace("time_", "time."))
        for index, group in sorted(groups.items())
        if not group.startswith("level")
    )
    level = compiled.groupindex.get("level", 0)
    return _Rule(name, compiled.match, kinds, level, first, needs, forbids, keeps, sets, indented)


M = MASK
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ALPHA = _UPPER + _UPPER.lower() + "_"
_WORDS = "DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|ERR|CRITICAL|CRIT|FATAL|SEVERE|TRACE|EVENT|DIAG|ALERT|EMERG"
_LEVEL = rf"(?P<level>{_WORDS})(?![A-Za-z_{M}])"
_ANYCASE = rf"(?P<level>(?i:{_WORDS}))(?![A-Za-z_{M}])"
_HOST = rf"[\w{M}][\w.{M}-]{{0,252}}"
_NAME = rf"[A-Za-z_{M}][\w.{M}]{{0,100}}"
_PATH = r"[^\s\]]{1,160}"
_SOURCE = rf"[\w./{M}+-]{{1,160}}\.(?:py|cc|cpp|cxx|cu|cuh|c|h|hpp|go|rs|ts|java):{M}"
_IP = rf"(?:{M}(?:\.{M}){{3}}|[\w{M}]*(?::[\w{M}]*){{2,7}})"
# A prefix with exactly one blank (`[rank3]: `) and one without (`[default3]:`) are masked
# alike, but code is indented by an even number of blanks: an odd count has one to eat.
_ODD_BLANK = r"(?: (?=(?:  )*(?! )))?"
_STREAM = r"<std(?:out|err|diag)>:"
_BLANK_TIME = rf"{M}-{M}-{M} {M}:{M}:{M}"
_AFTER_TIME = r"(?! [AaPp][Mm]\b)(?: UTC| GMT)?"
_SEPARATOR = r"(?:[ \t]*(?:[|,;-]|: )[ \t]*|:(?=[A-Z]{4,8}:)|[ \t]+)(?=\S)"
_MONTHS = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CTIME = rf"(?P<time_ctime>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTHS} +{M} {M}:{M}:{M} {M})"
_GLOG_TIME = rf"(?P<time_glog>{M} {M}:{M}:{M}(?:\.{M})?)"
# Kubeflow's, JobSet's and KubeRay's containers; any other second word may be a verb.
_CONTAINER = "pytorch|tensorflow|trainer|training|train|mpi|jax|mindspore|node|main|ray-head|ray-worker"
_ROLE = "worker|master|node|launcher|chief|head|ps|task|replica"
# Words that programs number with a hyphen; `step-3: ` is no host.
_NO_HOST = r"(?:step|epoch|iter|iteration|batch|layer|stage|shard|loss|phase|block|part|slurmstepd|srun)[-.]"

_RULES = (
    # Transports: what carried the line here. A label may follow.
    _rule(
        "cri",
        rf"(?P<time_iso>{ISO}) (?P<stream>stdout|stderr) F(?::\S{{0,20}})?(?: |$)",
        M,
        needs=_OUTER,
        keeps=_TRANSPORT,
    ),
    _rule(
        "cri-partial",
        rf"(?P<time_iso>{ISO}) (?P<stream>stdout|stderr) P(?::\S{{0,20}})?(?: |$)",
        M,
        needs=_OUTER,
        keeps=_TRANSPORT,
    ),
    _rule(
        "kubectl-prefix",
        r"\[pod/(?P<pod>[^/\]\s]{1,253})/(?P<container>[^/\]\s]{1,253})\] ",
        "[",
        needs=_OUTER,
        keeps=_TRANSPORT,
    ),
    _rule(
        "stern",
        rf"(?P<pod>[a-z{M}][a-z{M}-]{{0,200}}-(?:{_ROLE})-{M}[a-z{M}-]{{0,40}}) (?P<container>{_CONTAINER}) ",
        _ALPHA + M,
        needs=_OUTER,
        keeps=_TRANSPORT,
    ),
    _rule(
        "loki-labels",
        r'\{(?:[a-z_]{1,60}="[^"]{0,200}",? ?){1,40}\} +',
        "{",
        needs=_LOG | _OUTER,
        keeps=_TRANSPORT,
    ),
    # Kernel and system logs.
    _rule(
        "rfc5424",
        rf"<{M}>{M} (?P<time_iso>{ISO}) (?P<host>\S{{1,255}}) \S{{1,48}} "
        rf"(?:(?P<pid>{M})|\S{{1,128}}) \S{{1,32}} "
        r"(?:-|\[[^\]]{0,400}\])(?: (?:\xef\xbb\xbf)?|$)",
        "<",
        needs=_OUTER,
        sets=_BOOT,
    ),
    _rule(
        "syslog",
        rf"(?:<{M}>)?(?P<time_syslog>{_MONTHS} +{M} {M}:{M}:{M}(?:\.{M})?) (?P<host>{_HOST}) "
        rf"[\w./@()+{M}-]{{1,80}}(?:\[(?P<pid>{M})\])?: ",
        "JFMASOND<",
        needs=_OUTER,
        sets=_BOOT,
    ),
    _rule(
        "syslog",
        rf"(?:<{M}>)?(?P<time_syslog>{_MONTHS} +{M} {M}:{M}:{M}(?:\.{M})?) "
        rf"(?P<host>(?=[\w.-]*{M}){_HOST}) (?=\S)",
        "JFMASOND<",
        needs=_OUTER,
        sets=_BOOT,
    ),
    _rule(
        "syslog-iso",
        rf"(?P<time_iso>{ISO}) (?!(?:{_WORDS}) )(?P<host>{_HOST}) "
        rf"(?:kernel|[\w./@{M}-]{{1,80}}\[(?P<pid>{M})\]): ",
        M,
        needs=_OUTER,
        sets=_BOOT,
    ),
    _rule("kmsg", rf"{M},{M},(?P<time_boot>{M}),[c+-](?:,[^;]{{0,80}})?;", M, needs=_BOOT),
    _rule(
        "dmesg",
        rf"(?:<{M}>)?\[ *(?P<time_boot>{M}\.{M})\](?:\[ *{M}\])? (?!\[{_HOST}:{M} *:{M}\])",
        "[<",
        needs=_BOOT,
    ),
    _rule(
        "dmesg-x",
        r"(?:kern|user|daemon|syslog) *:(?P<level>emerg|alert|crit|err|warn|notice|info|debug) *: ",
        "kuds",
        needs=_OUTER,
        sets=_BOOT,
    ),
    _rule("ctime", rf"\[{_CTIME}\] ", "[", needs=_BOOT, sets=_LOG),
    _rule("ctime", rf"{_CTIME}(?:(?=\[)|{_SEPARATOR})", "MTWFS", needs=_BOOT, keeps=_OUTER, sets=_LOG),
    # Launchers.
    _rule(
        "sagemaker-mpi",
        rf"\[{M},mpirank:(?P<mpi_rank>{M}),(?P<host>{_HOST})\]{_STREAM}{_ODD_BLANK}",
        "[",
    ),
    _rule(
        "mpi-tag",
        rf"\[{_HOST}@{M},(?P<mpi_rank>{M})\](?:\[(?P<host>{_HOST}):(?P<pid>{M})\])?{_STREAM} ?",
        "[",
    ),
    _rule("mpi-tag", rf"\[{M},(?P<mpi_rank>{M})\]{_STREAM}{_ODD_BLANK}", "["),
    _rule("stream", r"std(?:err|out): (?=\S)", "s", forbids=_LOG),
    _rule("srun-label", rf" {{0,6}}(?P<label>{M}): ", " " + M, needs=_OUTER),
    _rule("pals", rf"(?P<host>{_HOST}): (?=rank {M} )", _ALPHA + M, needs=_OUTER),
    _rule(
        "pdsh",
        rf"(?P<host>(?!{_NO_HOST})(?:[a-z][a-z_]*|{M})(?:-[a-z_]+|-{M})*-{M}"
        rf"(?:\.[\w{M}-]{{1,63}}){{0,8}}|[a-z{M}][\w{M}-]{{0,62}}(?=[\w.-]{{0,252}}{M})(?:\.[\w{M}-]{{1,63}}){{0,8}}"
        rf"\.(?:local|internal|com|net|org|edu|gov|lan|cloud)|{M}\.{M}\.{M}\.{M}): ",
        _ALPHA + M,
        needs=_OUTER,
    ),
    _rule(
        "torchrun-tee",
        rf"\[(?!{_SOURCE}\])(?P<bracket>(?=[^\]]*{M})[\w.{M}@:-]{{1,80}})\]:{_ODD_BLANK}",
        "[",
        forbids=_GLOG,
    ),
    _rule(
        "host-bracket",
        rf"\[(?!{_SOURCE}\])(?P<bracket>(?=[\w.-]*{M})[\w.{M}-]{{1,80}}:{M})\] ?(?=\S)",
        "[",
        needs=_OUTER,
    ),
    _rule(
        "ray",
        rf"\((?:[\w.:<>()=,/+{M} -]{{0,100}}?[ (])??(?:rank=(?P<rank>{M}) )?pid=(?P<pid>{M})"
        rf"(?:, ?ip=(?P<ip>{_IP}))?\)(?: |$)",
        "(",
        forbids=_LOG,
    ),
    _rule("ray", rf"\((?:raylet|gcs_server|autoscaler)(?:, ?ip=(?P<ip>{_IP}))?\)(?: |$)", "(", forbids=_LOG),
    _rule(
        "rank",
        rf"\[(?i:global[ _-]?)?(?i:rank)[ :=]{{1,2}}(?P<rank>{M})(?:/{M})?\]:?(?: |$)",
        "[",
        keeps=_LOG,
    ),
    _rule("rank", rf"\[(?i:local[ _-]?rank)[ :=]{{1,2}}(?P<local_rank>{M})\]:?(?: |$)", "[", keeps=_LOG),
    _rule("rank", rf"(?i:rank)[ =](?P<rank>{M}) ?: ", "rR", keeps=_LOG, forbids=_GLOG),
    # C++ loggers.
    _rule(
        "glog",
        rf"{_GLOG_TIME} +(?:(?P<pid>{M}) +)?{_PATH}:{M}\](?: |$)",
        M,
        sets=_GLOG,
        indented=True,
    ),
    _rule("glog", rf"\[{_GLOG_TIME} (?:(?P<pid>{M}) +)?{_PATH}:{M}\](?: |$)", "[", sets=_GLOG, indented=True),
    _rule("glog", rf"\[(?P<level>[DIWEFC]) {_PATH}:{M}\](?: |$)", "[", sets=_GLOG, indented=True),
    _rule("c10d-group", rf"\[PG [^\[\]]{{0,200}}?Rank (?P<rank>{M})\](?: |$)", "[", keeps=_GLOG),
    _rule("tensorflow", rf"(?P<time_iso>{ISO}): (?P<level>[DIWEFC]) {_PATH}:{M}\](?: |$)", M, sets=_GLOG),
    _rule(
        "ray-glog",
        rf"\[(?P<time_iso>{ISO}) (?P<level>[DIWEFC]) (?P<pid>{M}) (?P<tid>{M})\] "
        rf"(?:\([\w ]{{1,60}}\) )?(?:{_SOURCE}: )?",
        "[",
        sets=_GLOG,
    ),
    _rule(
        "nccl",
        rf"(?P<host>{_HOST}):(?P<pid>{M}):(?P<tid>{M}) \[(?P<device>-?{M})\] (?:\S{{1,160}}:{M} )?"
        r"(?:NCCL|RCCL) (?P<level>INFO|WARN|TRACE|CALL|ABORT|ERROR)(?: |$)",
        _ALPHA + M,
        indented=True,
    ),
    _rule(
        "ucx",
        rf"\[(?P<time_epoch>{M}\.{M})\] \[(?P<host>{_HOST}):(?P<pid>{M}) *:(?P<tid>{M})\] +[\w.{M}+-]+:{M} +"
        rf"[A-Z{M}]{{2,10}} +{_LEVEL} +",
        "[",
        indented=True,
    ),
    _rule(
        "libfabric",
        rf"libfabric:(?P<pid>{M}):(?P<time_epoch>{M}):[^<>]{{1,160}}<(?P<level>warn|info|debug|trace)> ",
        "l",
    ),
    _rule(
        "plog",
        rf"\[{_LEVEL}\] *[A-Z{M}][\w{M} ]{{0,40}}"
        rf"\((?P<pid>{M})(?:[:,](?P<tid>{M})(?=[,)]))?[^()]{{0,80}}\): ?"
        rf"(?P<time_iso>{ISO}) *(?:\[[^\]\[]{{1,200}}:{M}\])? ?(?:(?P<tid2>{M}) ?(?=\[))?",
        "[",
        sets=_GLOG,
    ),
    _rule(
        "torch-npu",
        rf"\[{_LEVEL}\] (?P<time_iso>{ISO}) "
        rf"\(PID:(?P<pid>{M}), ?Device:(?P<device>-?{M}), ?RankID:(?P<rank>-?{M})\) ?",
        "[",
        sets=_GLOG,
    ),
    # Python loggers: whole formats first, then time, level and the rest piece by piece.
    _rule(
        "nemo",
        rf"\[NeMo (?P<level>[DIWEFC]) (?P<time_iso>{ISO}) {_PATH}:{M}\](?: |$)",
        "[",
        sets=_GLOG,
        indented=True,
    ),
    _rule("transformers", rf"\[{_LEVEL}\|{_PATH}:{M}\] (?P<time_iso>{ISO}) >> ", "[", sets=_LOG),
    _rule(
        "vllm",
        rf"{_LEVEL} {M}-{M} (?P<time_clock>{M}:{M}:{M})(?:\.{M})? (?:\[{_PATH}:{M}\]|{_SOURCE}\]) ?",
        _UPPER,
        sets=_LOG,
    ),
    _rule("logrus", rf'time="?(?P<time_iso>{ISO})"? level={_ANYCASE} (?=msg=)', "t"),
    _rule("tag", rf"\[[A-Za-z][\w .-]{{0,40}}\] (?={M}-{M}-{M})", "[", keeps=_OUTER | _LOG),
    _rule(
        "time",
        rf"\[(?:(?P<time_iso>{ISO})|(?P<time_us>{US}))"
        rf"(?:(?:,? | *[|-] *){_ANYCASE})?(?:[ ,][^\[\]]{{0,80}})?\]"
        r":?(?: (?=\s*\S)|(?=\S))",
        "[",
        sets=_LOG,
        indented=True,
    ),
    _rule("clock", rf"\[(?P<time_clock>{M}:{M}:{M}(?:[.,]{M})?)\] (?=\S)", "[", needs=_OUTER, sets=_LOG),
    _rule(
        "clock",
        rf"(?P<time_clock>{M}:{M}:{M}(?:[.,]{M})?)(?: - | *\| *| )(?=\[?(?:{_WORDS})\b)",
        M,
        sets=_LOG,
    ),
    # A shipper's timestamp has a `T`, which is glued to the hour: no blank before the clock.
    _rule(
        "timestamp",
        rf"(?!{_BLANK_TIME})(?P<time_iso>{ISO})[ \t](?=\s*\S)",
        M,
        keeps=_TRANSPORT,
        sets=_LOG,
    ),
    _rule(
        "time",
        rf"(?:(?P<time_iso>{ISO})|(?P<time_us>{US})){_AFTER_TIME}{_SEPARATOR}",
        M,
        sets=_LOG,
        indented=True,
    ),
    _rule("level-time", rf"{_LEVEL}[ :|-]{{1,3}}(?={M}[-/]{M}[-/]{M}[ -]?)", _UPPER, forbids=_LOG),
    _rule("level-time", rf"\[{_ANYCASE}\][ :|-]{{1,3}}(?={M}[-/]{M}[-/]{M}[ -]?)", "[", forbids=_LOG),
    _rule("basic-config", rf"{_LEVEL}:{_NAME}:(?=[^/:])", _UPPER),
    _rule("logger-level", rf"[\w.{M}]{{1,120}}: \[{_ANYCASE}\](?: |$)", "", needs=_LOG, keeps=_LOG),
    _rule("level", rf"\[ *{_ANYCASE} *\]:?(?: - | (?=\s*\S)| ?$|(?=\S))", "[", forbids=_GLOG, sets=_LOG),
    _rule(
        "level",
        rf"{_LEVEL} *\| *(?:[\w.<>{M}]{{1,120}}:[\w.<>{M}]{{1,120}}:{M}(?: - | \| ))?",
        _UPPER,
        needs=_LOG,
        keeps=_LOG,
    ),
    _rule("level", rf"(?:\S{{1,160}} - ){{1,3}}{_ANYCASE}(?: - |: )", "", needs=_LOG, keeps=_LOG),
    _rule("level", rf"{_ANYCASE} - (?:{_NAME}(?:\[\S{{1,80}}\])? - )?", _ALPHA, needs=_LOG, keeps=_LOG),
    _rule("level", rf"{_LEVEL}(?::(?:{_NAME}:)?[ \t]*|[ \t]+)(?=\S)", _UPPER, needs=_LOG, keeps=_LOG),
    # loguru in colours: level, module and line are glued to their colour codes.
    _rule("location", rf"\| *[\w.<>{M}]*:[\w.<>{M}]*:{M}? - ", "|", needs=_LOG, keeps=_LOG),
    _rule(
        "location",
        rf"\[[\w./<>{M}-]{{1,160}}:{M}(?::[\w<>.{M}]{{1,80}})?\](?: |$)",
        "[",
        needs=_LOG,
        keeps=_LOG,
    ),
    _rule(
        "location",
        rf"{_SOURCE}(?::[\w<>{M}]{{1,80}})?(?: -- |: (?![A-Za-z]*Warning:)| - |\] )",
        "",
        needs=_LOG,
        keeps=_LOG,
    ),
    # `[rank0]` in a Python format; `[12345]` (a pid) is masked alike, so it is a bracket.
    _rule(
        "log-bracket",
        rf"\[(?P<bracket>{M})\]:?(?: (?=\S)|(?=\[))",
        "[",
        needs=_LOG,
        forbids=_OUTER,
        keeps=_LOG,
    ),
    _rule("log-bracket", rf"\[(?P<bracket>{M}(?:-{M})+)\] (?=\S)", "[", needs=_LOG, keeps=_LOG),
    _rule("bracket-label", rf"\[(?P<label>{M})\] (?=\S)", "[", needs=_OUTER),
)

_MLLOG = re.compile(rf' *:::MLLOG \{{.{{0,400}}?\\?"time_ms\\?": *(?P<epoch>{M}(?:\.{M})?)')
_HINT = re.compile(rf"(?:(?:srun|slurmstepd|sbatch|salloc)(?:-[\w{M}.-]+)?: )?(?P<level>(?i:{_WORDS})): ")
_REPEATED = re.compile(
    rf"(?:\x1b\[[{M};]*m?)? *\[repeated (?P<repeat>{M}) across cluster\](?: \(Ray deduplicates logs .*)?"
    rf"(?:\x1b\[[{M};]*m?)?\s*$"
)
_LOKI_LABEL = re.compile(r'\b(?P<key>pod|pod_name|node|node_name|host|hostname|container)="(?P<value>[^"]+)"')
_LOKI_KIND = {"pod_name": "pod", "node": "host", "node_name": "host", "hostname": "host"}
_MAX_DEPTH = 16  # prefixes on one line; more would be an attack, not a log


def _dispatch(indented: bool) -> dict[str, tuple[_Rule, ...]]:
    """Return first character -> the rules to try, in the order of the table."""
    rules = [rule for rule in _RULES if rule.indented or not indented]
    chars = {char for rule in rules for char in rule.first} | {""}
    return {char: tuple(rule for rule in rules if not rule.first or char in rule.first) for char in chars}


_BY_FIRST = _dispatch(indented=False)
_BY_FIRST_INDENTED = _dispatch(indented=True)


def peel(masked: str) -> Header:
    """Return what stands around the content of a line, from its masked text alone.

    Never raises; linear in the length of the line.

    >>> from l4fast.canonical import mask
    >>> text = mask(b" 12: [rank12]:[E1016 03:06:53.12 ProcessGroupNCCL.cpp:632] timed out")[0]
    >>> header = peel(text)
    >>> header.layouts, text[header.start:]
    (('srun-label', 'torchrun-tee', 'glog'), 'timed out')
    >>> [(field.kind, field.start, field.end) for field in header.fields]
    [('label', 1, 2), ('bracket', 5, 6), ('time.glog', 9, 18)]
    """
    head = masked[:_COLOURED_HEAD]
    if "\x1b" in head or (head[:1] == "{" and _ESCAPED in head):
        return _peel_coloured(masked)
    return _peel(masked)


def _peel(text: str) -> Header:
    fields: list[Field] = []
    layouts: list[str] = []
    level: str | None = None
    loose = False  # the level was stamped by a shipper, which knows only the stream
    start, end, state = 0, len(text), _TRANSPORT
    while start < end and len(layouts) < _MAX_DEPTH:
        char = text[start]
        if char == "{" and state & _OUTER and (envelope := open_json(text, start, end)):
            fields += envelope.fields
            layouts.append(envelope.name)
            level, loose = envelope.level or level, True
            start, end, state = envelope.start, envelope.end, _TRANSPORT
            continue
        found = _next(text, start, end, state)
        if found is None:
            break
        rule, match = found
        fields += [Field(kind, *match.span(i)) for i, kind in rule.kinds if _to_be_read(match, i, kind)]
        if rule.level:
            if word := match[rule.level]:
                level, loose = LEVELS.get(word.upper(), level), False
        elif rule.sets & _GLOG:
            level, loose = None, False
        name = rule.name
        if name == "torchrun-tee" and (text[match.end() - 1] == " " or name in layouts):
            name = "rank"
        elif name == "loki-labels":
            fields += _loki_fields(match)
        elif name == "ray" and (repeated := _repeated(text, match.end(), end)):
            fields.append(Field("repeat", *repeated.span("repeat")))
            end = repeated.start()
        layouts.append(name)
        start, state = match.end(), (state & rule.keeps) | rule.sets
    if mllog := _MLLOG.match(text, start, end):
        fields.append(Field("time.epoch", *mllog.span("epoch")))
        layouts.append("mllog")
        start = text.index(":", start)
    elif (level is None or loose) and not state & _GLOG and (hint := _HINT.match(text, start, end)):
        level = LEVELS.get(hint["level"].upper(), level)
    fields.sort(key=lambda field: field.start)
    return Header(tuple(fields), level, tuple(layouts), start, end)


def _next(text: str, start: int, end: int, state: int) -> tuple[_Rule, re.Match[str]] | None:
    """Return the first rule that matches at ``start``, or after the blanks there."""
    char = text[start]
    rules = _BY_FIRST.get(char) or _BY_FIRST[""]
    for rule in rules:
        if (
            state & rule.needs == rule.needs
            and not state & rule.forbids
            and (m := rule.match(text, start, end))
        ):
            return rule, m
    if char != " ":
        return None
    while start < end and text[start] == " ":
        start += 1
    if start == end:
        return None
    for rule in _BY_FIRST_INDENTED.get(text[start], ()):
        if (
            state & rule.needs == rule.needs
            and not state & rule.forbids
            and (m := rule.match(text, start, end))
        ):
            return rule, m
    return None


def _to_be_read(match: re.Match[str], group: int, kind: str) -> bool:
    """A group that took part; a stream that stands there literally need not be read."""
    begin, stop = match.span(group)
    return stop > begin >= 0 and (kind != "stream" or MASK in match[group])


def _loki_fields(match: re.Match[str]) -> list[Field]:
    """Return the pod, host and container among the labels of `logcli`'s default output."""
    labels = _LOKI_LABEL.finditer(match.string, *match.span())
    return [Field(_LOKI_KIND.get(label["key"], label["key"]), *label.span("value")) for label in labels]


def _repeated(text: str, start: int, end: int) -> re.Match[str] | None:
    """Return Ray's `[repeated 6x across cluster]` at the end of the line, if it is there."""
    at = text.rfind("[repeated ", start, end)
    if at < 0:
        return None
    while at > start and text[at - 1] == " ":
        at -= 1
    return _REPEATED.match(text, at, end)


# A colour code is `\x1b[` and words that end in `m`; such a word is masked together with
# the text glued to it, which is lost here unless it can only be the head of a date.
_COLOURED_HEAD = 600
_ESCAPED = rf"\{M}["  # `\u001b[` inside a JSON string
_COLOUR = re.compile(rf"(?:\x1b|\\{M})\[(?:{M};)*(?:{M}(?![-/:]{M}))?m?")


def _peel_coloured(masked: str) -> Header:
    """Peel a line whose head holds colour codes: without them, then map the spans back."""
    head = masked[:_COLOURED_HEAD]
    kept: list[int] = []  # position in the plain text -> position in the masked text
    at = 0
    for colour in _COLOUR.finditer(head):
        kept.extend(range(at, colour.start()))
        at = colour.end()
    kept.extend(range(at, len(head)))
    plain = "".join(head[i] for i in kept) + masked[_COLOURED_HEAD:]
    shift = len(masked) - len(plain)

    def back(position: int) -> int:
        return kept[position] if position < len(kept) else position + shift

    def back_end(position: int) -> int:
        return back(position - 1) + 1 if position else 0

    header = _peel(plain)
    fields = tuple(Field(field.kind, back(field.start), back_end(field.end)) for field in header.fields)
    end = max(back_end(header.end), back_end(header.start)) if header.end < len(plain) else len(masked)
    return Header(fields, header.level, header.layouts, back_end(header.start), end)
