"""What loggers write before a message: those of C++ and of Python, whole or piece by piece."""

from __future__ import annotations

from l4fast.envelopes import ISO, US
from l4fast.rule import (
    ALPHA,
    GLOG,
    HOST,
    LOG,
    OUTER,
    SEPARATOR,
    SOURCE,
    TRANSPORT,
    UPPER,
    WORDS,
    M,
    Rule,
    rule,
)

_LEVEL = rf"(?P<level>{WORDS})(?![A-Za-z_{M}])"
_ANYCASE = rf"(?P<level>(?i:{WORDS}))(?![A-Za-z_{M}])"
_NAME = rf"[A-Za-z_{M}][\w.{M}]{{0,100}}"
_PATH = r"[^\s\]]{1,160}"
_BLANK_TIME = rf"{M}-{M}-{M} {M}:{M}:{M}"
_AFTER_TIME = r"(?! [AaPp][Mm]\b)(?: UTC| GMT)?"
_DASHED = rf"{M}-{M} {M}:{M}:{M}(?:[.,]{M})?"  # no year: month and day
_GLOG_TIME = rf"(?P<time_glog>{M} {M}:{M}:{M}(?:\.{M})?)"

LOGGERS: tuple[Rule, ...] = (
    # C++ loggers.
    rule(
        "glog",
        rf"{_GLOG_TIME} +(?:(?P<pid>{M}) +)?{_PATH}:{M}\](?: |$)",
        M,
        sets=GLOG,
        indented=True,
    ),
    rule("glog", rf"\[{_GLOG_TIME} (?:(?P<pid>{M}) +)?{_PATH}:{M}\](?: |$)", "[", sets=GLOG, indented=True),
    rule("glog", rf"\[(?P<level>[DIWEFC]) {_PATH}:{M}\](?: |$)", "[", sets=GLOG, indented=True),
    rule("c10d-group", rf"\[PG [^\[\]]{{0,200}}?Rank (?P<rank>{M})\](?: |$)", "[", keeps=GLOG),
    rule("tensorflow", rf"(?P<time_iso>{ISO}): (?P<level>[DIWEFC]) {_PATH}:{M}\](?: |$)", M, sets=GLOG),
    rule(
        "ray-glog",
        rf"\[(?P<time_iso>{ISO}) (?P<level>[DIWEFC]) (?P<pid>{M}) (?P<tid>{M})\] "
        rf"(?:\([\w ]{{1,60}}\) )?(?:{SOURCE}: )?",
        "[",
        sets=GLOG,
    ),
    rule(
        "nccl",
        rf"(?P<host>{HOST}):(?P<pid>{M}):(?P<tid>{M}) \[(?P<device>-?{M})\] (?:\S{{1,160}}:{M} )?"
        r"(?:NCCL|RCCL) (?P<level>INFO|WARN|TRACE|CALL|ABORT|ERROR)(?: |$)",
        ALPHA + M,
        indented=True,
    ),
    rule(
        "ucx",
        rf"\[(?P<time_epoch>{M}\.{M})\] \[(?P<host>{HOST}):(?P<pid>{M}) *:(?P<tid>{M})\] +[\w.{M}+-]+:{M} +"
        rf"[A-Z{M}]{{2,10}} +{_LEVEL} +",
        "[",
        indented=True,
    ),
    rule(
        "libfabric",
        rf"libfabric:(?P<pid>{M}):(?P<time_epoch>{M}):[^<>]{{1,160}}<(?P<level>warn|info|debug|trace)> ",
        "l",
    ),
    rule(
        "plog",
        rf"\[{_LEVEL}\] *[A-Z{M}][\w{M} ]{{0,40}}"
        rf"\((?P<pid>{M})(?:[:,](?P<tid>{M})(?=[,)]))?[^()]{{0,80}}\): ?"
        rf"(?P<time_iso>{ISO}) *(?:\[[^\]\[]{{1,200}}:{M}\])? ?(?:(?P<tid2>{M}) ?(?=\[))?",
        "[",
        sets=GLOG,
    ),
    rule(
        "torch-npu",
        rf"\[{_LEVEL}\] (?P<time_iso>{ISO}) "
        rf"\(PID:(?P<pid>{M}), ?Device:(?P<device>-?{M}), ?RankID:(?P<rank>-?{M})\) ?",
        "[",
        sets=GLOG,
    ),
    rule(
        "olmo",
        rf"(?P<time_iso>{ISO})\t(?P<host>{HOST}):(?P<local_rank>{M})\t[\w.{M}]{{1,120}}:{M}\t{_LEVEL}\t",
        M,
        sets=LOG,
    ),
    # Python loggers: whole formats first, then time, level and the rest piece by piece.
    rule(
        "nemo",
        rf"\[NeMo (?P<level>[DIWEFC]) (?P<time_iso>{ISO}) {_PATH}:{M}\](?: |$)",
        "[",
        sets=GLOG,
        indented=True,
    ),
    rule("transformers", rf"\[{_LEVEL}\|{_PATH}:{M}\] (?P<time_iso>{ISO}) >> ", "[", sets=LOG),
    rule(
        "vllm",
        rf"{_LEVEL} (?P<time_dashed>{_DASHED}) (?:\[{_PATH}:{M}\]|{SOURCE}\]) ?",
        UPPER,
        sets=LOG,
    ),
    rule("logrus", rf'time="?(?P<time_iso>{ISO})"? level={_ANYCASE} (?=msg=)', "t"),
    rule("tag", rf"\[[A-Za-z][\w .-]{{0,40}}\] (?={M}-{M}-{M})", "[", keeps=OUTER | LOG),
    rule(
        "time",
        rf"\[(?:(?P<time_iso>{ISO})|(?P<time_us>{US}))"
        rf"(?:(?:,? | *[|-] *){_ANYCASE})?(?:[ ,][^\[\]]{{0,80}})?\]"
        r":?(?: (?=\s*\S)|(?=\S))",
        "[",
        sets=LOG,
        indented=True,
    ),
    rule("time", rf"\[(?P<time_dashed>{_DASHED})\]:?(?: (?=\s*\S)|(?=\S))", "[", sets=LOG, indented=True),
    rule("time", rf"(?P<time_dashed>{_DASHED})(?: - | *\| *|: | )(?=\s*\S)", M, sets=LOG, indented=True),
    rule("clock", rf"\[(?P<time_clock>{M}:{M}:{M}(?:[.,]{M})?)\] (?=\S)", "[", needs=OUTER, sets=LOG),
    rule(
        "clock",
        rf"(?P<time_clock>{M}:{M}:{M}(?:[.,]{M})?)(?: - | *\| *| )(?=\[?(?:{WORDS})\b)",
        M,
        sets=LOG,
    ),
    # A shipper's timestamp has a `T`, which is glued to the hour: no blank before the clock.
    rule(
        "timestamp",
        rf"(?!{_BLANK_TIME})(?P<time_iso>{ISO})[ \t](?=\s*\S)",
        M,
        keeps=TRANSPORT,
        sets=LOG,
    ),
    rule(
        "time",
        rf"(?:(?P<time_iso>{ISO})|(?P<time_us>{US})){_AFTER_TIME}{SEPARATOR}",
        M,
        sets=LOG,
        indented=True,
    ),
    rule("level-time", rf"{_LEVEL}[ :|-]{{1,3}}(?={M}[-/]{M}[-/]{M}[ -]?)", UPPER, forbids=LOG),
    rule("level-time", rf"\[{_ANYCASE}\][ :|-]{{1,3}}(?={M}[-/]{M}[-/]{M}[ -]?)", "[", forbids=LOG),
    rule("basic-config", rf"{_LEVEL}:{_NAME}:(?=[^/:])", UPPER),
    rule("logger-level", rf"[\w.{M}]{{1,120}}: \[{_ANYCASE}\](?: |$)", "", needs=LOG, keeps=LOG),
    rule("level", rf"\[ *{_ANYCASE} *\]:?(?: - | (?=\s*\S)| ?$|(?=\S))", "[", forbids=GLOG, sets=LOG),
    rule(
        "level",
        rf"{_LEVEL} *\| *(?:[\w.<>{M}]{{1,120}}:[\w.<>{M}]{{1,120}}:{M}(?: - | \| ))?",
        UPPER,
        needs=LOG,
        keeps=LOG,
    ),
    rule("level", rf"(?:\S{{1,160}} - ){{1,3}}{_ANYCASE}(?: - |: )", "", needs=LOG, keeps=LOG),
    rule("level", rf"{_ANYCASE} - (?:{_NAME}(?:\[\S{{1,80}}\])? - )?", ALPHA, needs=LOG, keeps=LOG),
    rule("level", rf"{_LEVEL}(?::(?:{_NAME}:)?[ \t]*|[ \t]+)(?=\S)", UPPER, needs=LOG, keeps=LOG),
    # loguru in colours: level, module and line are glued to their colour codes.
    rule("location", rf"\| *[\w.<>{M}]*:[\w.<>{M}]*:{M}? - ", "|", needs=LOG, keeps=LOG),
    rule(
        "location",
        rf"\[[\w./<>{M}-]{{1,160}}:{M}(?::[\w<>.{M}]{{1,80}})?\](?: |$)",
        "[",
        needs=LOG,
        keeps=LOG,
    ),
    rule(
        "location",
        rf"{SOURCE}(?::[\w<>{M}]{{1,80}})?(?: -- |: (?![A-Za-z]*Warning:)| - |\] )",
        "",
        needs=LOG,
        keeps=LOG,
    ),
    # `[rank0]` in a Python format; `[12345]` (a pid) is masked alike, so it is a bracket.
    rule(
        "log-bracket",
        rf"\[(?P<bracket>{M})\]:?(?: (?=\S)|(?=\[))",
        "[",
        needs=LOG,
        forbids=OUTER,
        keeps=LOG,
    ),
    rule("log-bracket", rf"\[(?P<bracket>{M}(?:-{M})+)\] (?=\S)", "[", needs=LOG, keeps=LOG),
    rule("bracket-label", rf"\[(?P<label>{M})\] (?=\S)", "[", needs=OUTER),
)
