"""The commands, options and help texts of the command line."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from l4fast.errors import UsageError

_EPILOG = """\
exit codes of diagnose: 0 nothing to do, 10 restart, 11 restart without some nodes, 12 resume from an
older checkpoint, 20 stop (a restart would fail again), 30 unknown; all commands: 64 wrong usage,
65 nothing could be read, 70 internal error, 129, 130, 143 ended by SIGHUP, Ctrl-C, SIGTERM.

examples:
  l4fast demo                                       see it work on a simulated 1,024-rank job
  l4fast diagnose /logs/job-123                     why did this job die?
  l4fast diagnose slurm-123.out --baseline slurm-122.out --json
  l4fast baseline learn /logs/ok-1 /logs/ok-2 -o ok.l4b
"""

_LOGHUB_EPILOG = """\
a data set is a log with its labels beside it:
  BGL/BGL_2k.log    BGL/BGL_2k.log_structured_corrected.csv    (or BGL_2k.log_structured.csv)
  BGL/BGL_full.log  BGL/BGL_full.log_structured.csv
The name of the log, or of its folder, tells the system, and so the header of its lines.

examples:
  l4fast bench loghub loghub-2k
  l4fast bench loghub loghub-2.0/full_dataset --out rows --json
"""


_SIGNATURES_EPILOG = """\
examples:
  l4fast signatures list --category network         what is known of networks
  l4fast signatures show xid                        all about one
  l4fast signatures test /logs/job-123              what the library says of these logs
  l4fast diagnose /logs/job-123 --json > found.json
  l4fast signatures learn found.json --id switch-port-flap -o ours/network.toml
  l4fast signatures check ours/network.toml
  l4fast diagnose /logs/job-124 --signatures ours
"""


class _Parser(argparse.ArgumentParser):
    def __init__(self, **settings: Any) -> None:
        # An abbreviation that works today breaks the day an option is added.
        super().__init__(**settings, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def parser() -> argparse.ArgumentParser:
    """Return what reads the arguments; ``run`` of what it reads is the function, ``home`` its file."""
    top = _Parser(
        prog="l4fast",
        description="Tells within seconds why a large LLM training job died, from its logs alone.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    demo = commands.add_parser("demo", help="simulate a job with a planted fault, diagnose it, print both")
    demo.add_argument("--ranks", type=int, default=1024, help="ranks, 8 on each node (default 1024)")
    demo.add_argument(
        "--fault", default="gpu-xid79", help="which fault to plant (`l4fast simulate --fault list`)"
    )
    demo.add_argument("--style", default="megatron", help="whose logs to imitate")
    demo.add_argument("--seed", type=int, default=0)
    demo.set_defaults(run="demo")

    diagnose = commands.add_parser(
        "diagnose",
        help="say why a job died: what, where, when, and what to do",
        description="Diagnose one job. PATH is a file, a directory, a glob, a compressed file (.gz .zst .xz "
        ".bz2) or - for stdin; all PATHs are one job.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    diagnose.add_argument("paths", nargs="+", metavar="PATH")
    diagnose.add_argument(
        "--baseline",
        action="append",
        default=[],
        metavar="PATH",
        help="a baseline file, or the logs of a healthy job; may be given again",
    )
    diagnose.add_argument("--json", action="store_true", help="print exactly one JSON object")
    diagnose.add_argument("--lines", metavar="FILE.jsonl", help="write each failure-indicating line here")
    diagnose.add_argument(
        "--workers", type=_positive, default=1, metavar="N", help="threads that read (default 1)"
    )
    _with_library(diagnose)
    diagnose.set_defaults(run="diagnose")

    parse = commands.add_parser(
        "parse",
        help="turn logs into a table: time, level, node, rank, shape, template of each line",
        description="Write one row per line to Parquet or Arrow; with a folder as OUT, one file per input.",
    )
    parse.add_argument("paths", nargs="+", metavar="PATH")
    parse.add_argument("-o", "--out", required=True, metavar="FILE.parquet|FILE.arrow|DIR")
    parse.add_argument("--text", action="store_true", help="add the text of each line")
    parse.add_argument(
        "--params",
        action="store_true",
        help="add the words of each line that hold a digit, its template's values and their types",
    )
    parse.set_defaults(run="parse")

    templates = commands.add_parser(
        "templates",
        help="list the templates of logs with their counts",
        description="List the templates of logs, most lines first: count, id, text with <*> for what varies. "
        "The list does not depend on the order of lines or paths; counts of several logs add up.",
    )
    templates.add_argument(
        "paths", nargs="+", metavar="PATH", help="a file, folder, glob, compressed file, or - for stdin"
    )
    templates.add_argument("--json", action="store_true", help="print exactly one JSON object")
    templates.add_argument("--workers", type=_positive, default=1, metavar="N", help="threads that read")
    templates.set_defaults(run="templates")

    baseline = commands.add_parser("baseline", help="learn, merge and show what healthy jobs say")
    actions = baseline.add_subparsers(dest="action", metavar="ACTION", required=True)
    learn = actions.add_parser("learn", help="each PATH is one healthy job")
    learn.add_argument("paths", nargs="+", metavar="PATH")
    learn.add_argument("-o", "--out", required=True, metavar="FILE.l4b")
    _with_library(learn)
    learn.set_defaults(run="baseline_learn")
    merge = actions.add_parser("merge", help="add baseline files up")
    merge.add_argument("paths", nargs="+", metavar="FILE.l4b")
    merge.add_argument("-o", "--out", required=True, metavar="FILE.l4b")
    merge.set_defaults(run="baseline_merge")
    show = actions.add_parser("show", help="say what a baseline file holds")
    show.add_argument("path", metavar="FILE.l4b")
    show.add_argument("--json", action="store_true")
    show.set_defaults(run="baseline_show")

    _add_signatures(commands)

    simulate = commands.add_parser(
        "simulate", help="write the logs of a made-up job with a planted fault, and the truth beside them"
    )
    simulate.add_argument("-o", "--out", metavar="DIR", help="a folder that does not exist yet, or is empty")
    simulate.add_argument("--nodes", type=_positive, default=16)
    simulate.add_argument("--ranks-per-node", type=_positive, default=8)
    simulate.add_argument("--iterations", type=_positive, default=200)
    simulate.add_argument("--fault", metavar="NAME", help="leave out for a healthy job; `list` names them")
    simulate.add_argument("--seed", type=int, default=0)
    simulate.add_argument("--style", default="megatron", help="whose logs to imitate; `list` names them")
    simulate.add_argument("--culprits", type=_positive, default=1, help="on how many nodes it strikes")
    simulate.add_argument("--clock-skew", type=float, default=0.05, help="of the nodes' clocks, seconds")
    simulate.add_argument("--no-kernel-logs", action="store_true", help="leave the nodes' kernel logs out")
    simulate.set_defaults(run="simulate")

    bench = commands.add_parser("bench", help="measure accuracy on labelled logs")
    kinds = bench.add_subparsers(dest="kind", metavar="KIND", required=True)
    loghub = kinds.add_parser(
        "loghub",
        help="GA, FGA, PA, FTA and speed on Loghub data sets",
        description="Parse each raw log below DATASETS with one setting for all, compare its templates with "
        "the labels beside it, and print grouping and parsing accuracy in the definitions of Loghub-2.0's "
        "evaluator, templates found and true, and lines per second.",
        epilog=_LOGHUB_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    loghub.add_argument("datasets", metavar="DATASETS", help="a folder of data sets, or of one")
    loghub.add_argument("--json", action="store_true", help="print exactly one JSON object (l4fast.loghub/1)")
    loghub.add_argument(
        "--out", metavar="DIR", help="keep *_structured.csv and *_templates.csv, which the evaluator reads"
    )
    loghub.add_argument(
        "--labels",
        choices=("auto", "2k", "full"),
        default="auto",
        help="the notation of the labels: of the 2k samples, or of the full logs, which join `<*>:<*>` and "
        "the like; auto (default): full for NAME_full.log, else 2k",
    )
    loghub.set_defaults(run="bench_loghub")

    warmup = commands.add_parser("warmup", help="compile and cache the kernels and the failure library")
    warmup.set_defaults(run="warmup")
    return top


def _with_library(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--signatures",
        action="append",
        default=[],
        metavar="DIR",
        help="a signature file, or a folder of them (*.toml): adds to the failure library, and replaces "
        "what has the same id; may be given again",
    )
    parser.add_argument(
        "--mute",
        action="append",
        default=[],
        metavar="ID",
        help="take the lines of a signature for harmless (* stands for any characters); may be given again",
    )


def _add_signatures(commands: Any) -> None:
    top = commands.add_parser(
        "signatures",
        help="read, check, try and extend the failure library",
        description="A signature is a known line: its pattern, what it means, who is to blame, what to do, "
        "and lines that must and must not match it.",
        epilog=_SIGNATURES_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = top.add_subparsers(dest="action", metavar="list|show|check|test|learn", required=True)
    contents = actions.add_parser("list", help="a table of contents")
    contents.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="only those with all these words in id, title, source or sample lines; with * a form of the id",
    )
    contents.add_argument("--category", metavar="NAME", help="only these causes: network, hardware, ...")
    contents.add_argument("--role", metavar="NAME", help="only root, consequence, teardown, marker, ...")
    contents.set_defaults(run="contents")
    show = actions.add_parser("show", help="what one means, what explains it, what it explains, what to do")
    show.add_argument("ids", nargs="+", metavar="ID", help="* stands for any characters")
    show.set_defaults(run="show")
    check = actions.add_parser(
        "check", help="say all that is wrong with signature files; exit code 65 if any is"
    )
    check.add_argument("files", nargs="+", metavar="FILE", help="a file, a folder of *.toml, or - for stdin")
    check.set_defaults(run="check")
    trial = actions.add_parser(
        "test", help="say which signatures hit the lines of logs, and which warnings and errors none names"
    )
    trial.add_argument("paths", nargs="+", metavar="PATH")
    trial.add_argument("--workers", type=_positive, default=1, metavar="N", help="threads that read")
    trial.set_defaults(run="trial")
    learn = actions.add_parser(
        "learn",
        help="make a signature of a confirmed event of a diagnosis",
        description="Write a signature, with its samples, for an event of a diagnosis that turned out right, "
        "so that the next job that says so is named at once.",
    )
    learn.add_argument("diagnosis", metavar="DIAGNOSIS.json", help="of `l4fast diagnose --json`; - for stdin")
    learn.add_argument("--id", required=True, metavar="ID", help="how to call it: switch-port-flap")
    learn.add_argument(
        "--event",
        metavar="EVENT_ID|TEXT",
        help="which event, or a piece of its line (default: the first root)",
    )
    for name, told in (
        ("title", "a short sentence: what happened"),
        ("category", "of the cause (default: the event's)"),
        ("role", "root, consequence, teardown, benign (default: the event's)"),
        ("advice", "what to do"),
        ("source", "what wrote the line"),
    ):
        learn.add_argument(f"--{name}", metavar="TEXT", help=told)
    learn.add_argument("-o", "--out", metavar="FILE.toml", help="add it to this file (default: print it)")
    learn.set_defaults(run="learn")
    for each in (contents, show, check, trial):
        each.add_argument(
            "--json", action="store_true", help="print exactly one JSON object (l4fast.signatures/1)"
        )
    for each in (contents, show, trial):
        _with_library(each)
    for each in (contents, show, check, trial, learn):
        each.set_defaults(home="signature_commands")


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number
