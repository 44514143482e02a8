"""The prefixes of the field as a table: what each looks like, and what may come after it.

A rule sees masked text (``M`` is a masked word), so it tells only where a field stands and what it
may be. The first rule of the table that matches wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from l4fast.canonical import MASK
from l4fast.envelopes import ISO, US
from l4fast.regexes import regex

# What may come next depends on what was peeled before.
OUTER = 1  # only a transport so far: a bare label such as `12: ` may follow
BOOT = 2  # a kernel line may follow
LOG = 4  # a time or level was read: level, logger name, location and rank may follow
GLOG = 8  # a C++ header was read: `[c10d]` after it is a component, not a rank
TRANSPORT = OUTER | BOOT

_GROUP = regex(r"\(\?P<(\w+)>")


@dataclass(frozen=True, slots=True)
class Rule:
    """One prefix: where it may stand, its pattern, what it leaves possible."""

    name: str
    pattern: re.Pattern[str]
    kinds: tuple[tuple[str, str], ...]  # its groups, and the kinds of field that they are
    tells_level: bool
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
) -> Rule:
    """Make a rule; a named group is a field (`time_iso` -> "time.iso", `rank2` -> "rank")."""
    groups = _GROUP.findall(pattern)
    kinds = tuple(
        (group, group.rstrip("23").replace("time_", "time.")) for group in groups if group != "level"
    )
    return Rule(name, regex(pattern), kinds, "level" in groups, first, needs, forbids, keeps, sets, indented)


M = MASK
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ALPHA = _UPPER + _UPPER.lower() + "_"
WORDS = "DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|ERR|CRITICAL|CRIT|FATAL|SEVERE|TRACE|EVENT|DIAG|ALERT|EMERG"
_LEVEL = rf"(?P<level>{WORDS})(?![A-Za-z_{M}])"
_ANYCASE = rf"(?P<level>(?i:{WORDS}))(?![A-Za-z_{M}])"
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
        needs=OUTER,
        keeps=TRANSPORT,
    ),
    _rule(
        "cri-partial",
        rf"(?P<time_iso>{ISO}) (?P<stream>stdout|stderr) P(?::\S{{0,20}})?(?: |$)",
        M,
        needs=OUTER,
        keeps=TRANSPORT,
    ),
    _rule(
        "kubectl-prefix",
        r"\[pod/(?P<pod>[^/\]\s]{1,253})/(?P<container>[^/\]\s]{1,253})\] ",
        "[",
        needs=OUTER,
        keeps=TRANSPORT,
    ),
    _rule(
        "stern",
        rf"(?P<pod>[a-z{M}][a-z{M}-]{{0,200}}-(?:{_ROLE})-{M}[a-z{M}-]{{0,40}}) (?P<container>{_CONTAINER}) ",
        _ALPHA + M,
        needs=OUTER,
        keeps=TRANSPORT,
    ),
    _rule(
        "loki-labels",
        r'\{(?:[a-z_]{1,60}="[^"]{0,200}",? ?){1,40}\} +',
        "{",
        needs=LOG | OUTER,
        keeps=TRANSPORT,
    ),
    # Kernel and system logs.
    _rule(
        "rfc5424",
        rf"<{M}>{M} (?P<time_iso>{ISO}) (?P<host>\S{{1,255}}) \S{{1,48}} "
        rf"(?:(?P<pid>{M})|\S{{1,128}}) \S{{1,32}} "
        r"(?:-|\[[^\]]{0,400}\])(?: (?:\xef\xbb\xbf)?|$)",
        "<",
        needs=OUTER,
        sets=BOOT,
    ),
    _rule(
        "syslog",
        rf"(?:<{M}>)?(?P<time_syslog>{_MONTHS} +{M} {M}:{M}:{M}(?:\.{M})?) (?P<host>{_HOST}) "
        rf"[\w./@()+{M}-]{{1,80}}(?:\[(?P<pid>{M})\])?: ",
        "JFMASOND<",
        needs=OUTER,
        sets=BOOT,
    ),
    _rule(
        "syslog",
        rf"(?:<{M}>)?(?P<time_syslog>{_MONTHS} +{M} {M}:{M}:{M}(?:\.{M})?) "
        rf"(?P<host>(?=[\w.-]*{M}){_HOST}) (?=\S)",
        "JFMASOND<",
        needs=OUTER,
        sets=BOOT,
    ),
    _rule(
        "syslog-iso",
        rf"(?P<time_iso>{ISO}) (?!(?:{WORDS}) )(?P<host>{_HOST}) "
        rf"(?:kernel|[\w./@{M}-]{{1,80}}\[(?P<pid>{M})\]): ",
        M,
        needs=OUTER,
        sets=BOOT,
    ),
    _rule("kmsg", rf"{M},{M},(?P<time_boot>{M}),[c+-](?:,[^;]{{0,80}})?;", M, needs=BOOT),
    _rule(
        "dmesg",
        rf"(?:<{M}>)?\[ *(?P<time_boot>{M}\.{M})\](?:\[ *{M}\])? (?!\[{_HOST}:{M} *:{M}\])",
        "[<",
        needs=BOOT,
    ),
    _rule(
        "dmesg-x",
        r"(?:kern|user|daemon|syslog) *:(?P<level>emerg|alert|crit|err|warn|notice|info|debug) *: ",
        "kuds",
        needs=OUTER,
        sets=BOOT,
    ),
    _rule("ctime", rf"\[{_CTIME}\] ", "[", needs=BOOT, sets=LOG),
    _rule("ctime", rf"{_CTIME}(?:(?=\[)|{_SEPARATOR})", "MTWFS", needs=BOOT, keeps=OUTER, sets=LOG),
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
    _rule("stream", r"std(?:err|out): (?=\S)", "s", forbids=LOG),
    _rule("srun-label", rf" {{0,6}}(?P<label>{M}): ", " " + M, needs=OUTER),
    # What a batch system runs on each node before and after a job.
    _rule(
        "node-script",
        rf"(?:(?:[Tt]ask)?[Pp]rolog|(?:[Tt]ask)?[Ee]pilog|nhc|health-?check)\[(?P<host>{_HOST})\]: (?=\S)",
        "TtPpEenh",
        needs=OUTER,
    ),
    _rule("pals", rf"(?P<host>{_HOST}): (?=rank {M} )", _ALPHA + M, needs=OUTER),
    _rule(
        "pdsh",
        rf"(?P<host>(?!{_NO_HOST})(?:[a-z][a-z_]*|{M})(?:-[a-z_]+|-{M})*-{M}"
        rf"(?:\.[\w{M}-]{{1,63}}){{0,8}}|[a-z{M}][\w{M}-]{{0,62}}(?=[\w.-]{{0,252}}{M})(?:\.[\w{M}-]{{1,63}}){{0,8}}"
        rf"\.(?:local|internal|com|net|org|edu|gov|lan|cloud)|{M}\.{M}\.{M}\.{M}): ",
        _ALPHA + M,
        needs=OUTER,
    ),
    _rule(
        "torchrun-tee",
        rf"\[(?!{_SOURCE}\])(?P<bracket>(?=[^\]]*{M})[\w.{M}@:-]{{1,80}})\]:{_ODD_BLANK}",
        "[",
        forbids=GLOG,
    ),
    _rule(
        "host-bracket",
        rf"\[(?!{_SOURCE}\])(?P<bracket>(?=[\w.-]*{M})[\w.{M}-]{{1,80}}:{M})\] ?(?=\S)",
        "[",
        needs=OUTER,
    ),
    _rule(
        "ray",
        rf"\((?:[\w.:<>()=,/+{M} -]{{0,100}}?[ (])??(?:rank=(?P<rank>{M}) )?pid=(?P<pid>{M})"
        rf"(?:, ?ip=(?P<ip>{_IP}))?\)(?: |$)",
        "(",
        forbids=LOG,
    ),
    _rule("ray", rf"\((?:raylet|gcs_server|autoscaler)(?:, ?ip=(?P<ip>{_IP}))?\)(?: |$)", "(", forbids=LOG),
    _rule(
        "rank",
        rf"\[(?i:global[ _-]?)?(?i:rank)[ :=]{{1,2}}(?P<rank>{M})(?:/{M})?\]:?(?: |$)",
        "[",
        keeps=LOG,
    ),
    _rule("rank", rf"\[(?i:local[ _-]?rank)[ :=]{{1,2}}(?P<local_rank>{M})\]:?(?: |$)", "[", keeps=LOG),
    _rule("rank", rf"(?i:rank)[ =](?P<rank>{M}) ?: ", "rR", keeps=LOG, forbids=GLOG),
    # C++ loggers.
    _rule(
        "glog",
        rf"{_GLOG_TIME} +(?:(?P<pid>{M}) +)?{_PATH}:{M}\](?: |$)",
        M,
        sets=GLOG,
        indented=True,
    ),
    _rule("glog", rf"\[{_GLOG_TIME} (?:(?P<pid>{M}) +)?{_PATH}:{M}\](?: |$)", "[", sets=GLOG, indented=True),
    _rule("glog", rf"\[(?P<level>[DIWEFC]) {_PATH}:{M}\](?: |$)", "[", sets=GLOG, indented=True),
    _rule("c10d-group", rf"\[PG [^\[\]]{{0,200}}?Rank (?P<rank>{M})\](?: |$)", "[", keeps=GLOG),
    _rule("tensorflow", rf"(?P<time_iso>{ISO}): (?P<level>[DIWEFC]) {_PATH}:{M}\](?: |$)", M, sets=GLOG),
    _rule(
        "ray-glog",
        rf"\[(?P<time_iso>{ISO}) (?P<level>[DIWEFC]) (?P<pid>{M}) (?P<tid>{M})\] "
        rf"(?:\([\w ]{{1,60}}\) )?(?:{_SOURCE}: )?",
        "[",
        sets=GLOG,
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
        sets=GLOG,
    ),
    _rule(
        "torch-npu",
        rf"\[{_LEVEL}\] (?P<time_iso>{ISO}) "
        rf"\(PID:(?P<pid>{M}), ?Device:(?P<device>-?{M}), ?RankID:(?P<rank>-?{M})\) ?",
        "[",
        sets=GLOG,
    ),
    # Python loggers: whole formats first, then time, level and the rest piece by piece.
    _rule(
        "nemo",
        rf"\[NeMo (?P<level>[DIWEFC]) (?P<time_iso>{ISO}) {_PATH}:{M}\](?: |$)",
        "[",
        sets=GLOG,
        indented=True,
    ),
    _rule("transformers", rf"\[{_LEVEL}\|{_PATH}:{M}\] (?P<time_iso>{ISO}) >> ", "[", sets=LOG),
    _rule(
        "vllm",
        rf"{_LEVEL} {M}-{M} (?P<time_clock>{M}:{M}:{M})(?:\.{M})? (?:\[{_PATH}:{M}\]|{_SOURCE}\]) ?",
        _UPPER,
        sets=LOG,
    ),
    _rule("logrus", rf'time="?(?P<time_iso>{ISO})"? level={_ANYCASE} (?=msg=)', "t"),
    _rule("tag", rf"\[[A-Za-z][\w .-]{{0,40}}\] (?={M}-{M}-{M})", "[", keeps=OUTER | LOG),
    _rule(
        "time",
        rf"\[(?:(?P<time_iso>{ISO})|(?P<time_us>{US}))"
        rf"(?:(?:,? | *[|-] *){_ANYCASE})?(?:[ ,][^\[\]]{{0,80}})?\]"
        r":?(?: (?=\s*\S)|(?=\S))",
        "[",
        sets=LOG,
        indented=True,
    ),
    _rule("clock", rf"\[(?P<time_clock>{M}:{M}:{M}(?:[.,]{M})?)\] (?=\S)", "[", needs=OUTER, sets=LOG),
    _rule(
        "clock",
        rf"(?P<time_clock>{M}:{M}:{M}(?:[.,]{M})?)(?: - | *\| *| )(?=\[?(?:{WORDS})\b)",
        M,
        sets=LOG,
    ),
    # A shipper's timestamp has a `T`, which is glued to the hour: no blank before the clock.
    _rule(
        "timestamp",
        rf"(?!{_BLANK_TIME})(?P<time_iso>{ISO})[ \t](?=\s*\S)",
        M,
        keeps=TRANSPORT,
        sets=LOG,
    ),
    _rule(
        "time",
        rf"(?:(?P<time_iso>{ISO})|(?P<time_us>{US})){_AFTER_TIME}{_SEPARATOR}",
        M,
        sets=LOG,
        indented=True,
    ),
    _rule("level-time", rf"{_LEVEL}[ :|-]{{1,3}}(?={M}[-/]{M}[-/]{M}[ -]?)", _UPPER, forbids=LOG),
    _rule("level-time", rf"\[{_ANYCASE}\][ :|-]{{1,3}}(?={M}[-/]{M}[-/]{M}[ -]?)", "[", forbids=LOG),
    _rule("basic-config", rf"{_LEVEL}:{_NAME}:(?=[^/:])", _UPPER),
    _rule("logger-level", rf"[\w.{M}]{{1,120}}: \[{_ANYCASE}\](?: |$)", "", needs=LOG, keeps=LOG),
    _rule("level", rf"\[ *{_ANYCASE} *\]:?(?: - | (?=\s*\S)| ?$|(?=\S))", "[", forbids=GLOG, sets=LOG),
    _rule(
        "level",
        rf"{_LEVEL} *\| *(?:[\w.<>{M}]{{1,120}}:[\w.<>{M}]{{1,120}}:{M}(?: - | \| ))?",
        _UPPER,
        needs=LOG,
        keeps=LOG,
    ),
    _rule("level", rf"(?:\S{{1,160}} - ){{1,3}}{_ANYCASE}(?: - |: )", "", needs=LOG, keeps=LOG),
    _rule("level", rf"{_ANYCASE} - (?:{_NAME}(?:\[\S{{1,80}}\])? - )?", _ALPHA, needs=LOG, keeps=LOG),
    _rule("level", rf"{_LEVEL}(?::(?:{_NAME}:)?[ \t]*|[ \t]+)(?=\S)", _UPPER, needs=LOG, keeps=LOG),
    # loguru in colours: level, module and line are glued to their colour codes.
    _rule("location", rf"\| *[\w.<>{M}]*:[\w.<>{M}]*:{M}? - ", "|", needs=LOG, keeps=LOG),
    _rule(
        "location",
        rf"\[[\w./<>{M}-]{{1,160}}:{M}(?::[\w<>.{M}]{{1,80}})?\](?: |$)",
        "[",
        needs=LOG,
        keeps=LOG,
    ),
    _rule(
        "location",
        rf"{_SOURCE}(?::[\w<>{M}]{{1,80}})?(?: -- |: (?![A-Za-z]*Warning:)| - |\] )",
        "",
        needs=LOG,
        keeps=LOG,
    ),
    # `[rank0]` in a Python format; `[12345]` (a pid) is masked alike, so it is a bracket.
    _rule(
        "log-bracket",
        rf"\[(?P<bracket>{M})\]:?(?: (?=\S)|(?=\[))",
        "[",
        needs=LOG,
        forbids=OUTER,
        keeps=LOG,
    ),
    _rule("log-bracket", rf"\[(?P<bracket>{M}(?:-{M})+)\] (?=\S)", "[", needs=LOG, keeps=LOG),
    _rule("bracket-label", rf"\[(?P<label>{M})\] (?=\S)", "[", needs=OUTER),
)


def _dispatch(indented: bool) -> dict[str, tuple[Rule, ...]]:
    """Return first character -> the rules to try, in the order of the table."""
    rules = [rule for rule in _RULES if rule.indented or not indented]
    chars = {char for rule in rules for char in rule.first} | {""}
    return {char: tuple(rule for rule in rules if not rule.first or char in rule.first) for char in chars}


BY_FIRST = _dispatch(indented=False)
BY_FIRST_INDENTED = _dispatch(indented=True)
