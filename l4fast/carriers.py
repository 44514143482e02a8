"""What carries a line: transports, system logs and launchers, each with what it puts before it."""

from __future__ import annotations

from l4fast.envelopes import ISO
from l4fast.rule import (
    ALPHA,
    BOOT,
    GLOG,
    HOST,
    LOG,
    OUTER,
    SEPARATOR,
    SOURCE,
    TRANSPORT,
    WORDS,
    M,
    Rule,
    rule,
)

_IP = rf"(?:{M}(?:\.{M}){{3}}|[\w{M}]*(?::[\w{M}]*){{2,7}})"
# A prefix with exactly one blank (`[rank3]: `) and one without (`[default3]:`) are masked
# alike, but code is indented by an even number of blanks: an odd count has one to eat.
_ODD_BLANK = r"(?: (?=(?:  )*(?! )))?"
_STREAM = r"<std(?:out|err|diag)>:"
_MONTHS = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CTIME = rf"(?P<time_ctime>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTHS} +{M} {M}:{M}:{M} {M})"
# Kubeflow's, JobSet's and KubeRay's containers; any other second word may be a verb.
_CONTAINER = "pytorch|tensorflow|trainer|training|train|mpi|jax|mindspore|node|main|ray-head|ray-worker"
_ROLE = "worker|master|node|launcher|chief|head|ps|task|replica"
# Words that programs number with a hyphen; `step-3: ` is no host.
_NO_HOST = r"(?:step|epoch|iter|iteration|batch|layer|stage|shard|loss|phase|block|part|slurmstepd|srun)[-.]"
# What clusters of few machines call them.
_NAMELESS = (
    r"localhost(?:\.localdomain)?|master|slave|(?:worker|node|host|gpu|server|machine|compute)[-_][a-z]"
)
_PLAIN = rf"(?!(?:{WORDS.lower()}):)[a-z][a-z-]{{0,62}}"
# A prefix that no message begins with: a rank's, C++'s, a time with a level, NCCL's.
_HEADER = (
    rf"\[{M}\]:|\[?{M} {M}:{M}:{M}(?:\.{M})? +(?:{M} +)?[^\s\]]{{1,160}}:{M}\]"
    rf"|\[?{ISO}\]?[ :|,-]{{1,4}}\[?(?:{WORDS})\b|{HOST}:{M}:{M} \[-?{M}\] NCCL "
)

CARRIERS: tuple[Rule, ...] = (
    # Transports: what carried the line here. A label may follow.
    rule(
        "cri",
        rf"(?P<time_iso>{ISO}) (?P<stream>stdout|stderr) F(?::\S{{0,20}})?(?: |$)",
        M,
        needs=OUTER,
        keeps=TRANSPORT,
    ),
    rule(
        "cri-partial",
        rf"(?P<time_iso>{ISO}) (?P<stream>stdout|stderr) P(?::\S{{0,20}})?(?: |$)",
        M,
        needs=OUTER,
        keeps=TRANSPORT,
    ),
    rule(
        "kubectl-prefix",
        r"\[pod/(?P<pod>[^/\]\s]{1,253})/(?P<container>[^/\]\s]{1,253})\] ",
        "[",
        needs=OUTER,
        keeps=TRANSPORT,
    ),
    rule(
        "stern",
        rf"(?P<pod>[a-z{M}][a-z{M}-]{{0,200}}-(?:{_ROLE})-{M}[a-z{M}-]{{0,40}}) (?P<container>{_CONTAINER}) ",
        ALPHA + M,
        needs=OUTER,
        keeps=TRANSPORT,
    ),
    rule(
        "loki-labels",
        r'\{(?:[a-z_]{1,60}="[^"]{0,200}",? ?){1,40}\} +',
        "{",
        needs=LOG | OUTER,
        keeps=TRANSPORT,
    ),
    # Kernel and system logs.
    rule(
        "rfc5424",
        rf"<{M}>{M} (?P<time_iso>{ISO}) (?P<host>\S{{1,255}}) \S{{1,48}} "
        rf"(?:(?P<pid>{M})|\S{{1,128}}) \S{{1,32}} "
        r"(?:-|\[[^\]]{0,400}\])(?: (?:\xef\xbb\xbf)?|$)",
        "<",
        needs=OUTER,
        sets=BOOT,
    ),
    rule(
        "syslog",
        rf"(?:<{M}>)?(?P<time_syslog>{_MONTHS} +{M} {M}:{M}:{M}(?:\.{M})?) (?P<host>{HOST}) "
        rf"[\w./@()+{M}-]{{1,80}}(?:\[(?P<pid>{M})\])?: ",
        "JFMASOND<",
        needs=OUTER,
        sets=BOOT,
    ),
    rule(
        "syslog",
        rf"(?:<{M}>)?(?P<time_syslog>{_MONTHS} +{M} {M}:{M}:{M}(?:\.{M})?) "
        rf"(?P<host>(?=[\w.-]*{M}){HOST}) (?=\S)",
        "JFMASOND<",
        needs=OUTER,
        sets=BOOT,
    ),
    rule(
        "syslog-iso",
        rf"(?P<time_iso>{ISO}) (?!(?:{WORDS}) )(?P<host>{HOST}) "
        rf"(?:kernel|[\w./@{M}-]{{1,80}}\[(?P<pid>{M})\]): ",
        M,
        needs=OUTER,
        sets=BOOT,
    ),
    # rsyslog with seconds since 1970, and the tag or the facility; other words may be any table's.
    rule(
        "syslog-epoch",
        rf"(?:<{M}>)?(?P<time_epoch>{M}(?:\.{M})?) (?P<host>{HOST}) "
        rf"(?:kernel|kern|daemon|syslog|(?:systemd|slurmd|nvidia-[a-z-]{{1,30}})\[(?P<pid>{M})\]): ",
        M + "<",
        needs=OUTER,
        sets=BOOT,
    ),
    rule("kmsg", rf"{M},{M},(?P<time_boot>{M}),[c+-](?:,[^;]{{0,80}})?;", M, needs=BOOT),
    rule(
        "dmesg",
        rf"(?:<{M}>)?\[ *(?P<time_boot>{M}\.{M})\](?:\[ *{M}\])? (?!\[{HOST}:{M} *:{M}\])",
        "[<",
        needs=BOOT,
    ),
    rule(
        "dmesg-x",
        r"(?:kern|user|daemon|syslog) *:(?P<level>emerg|alert|crit|err|warn|notice|info|debug) *: ",
        "kuds",
        needs=OUTER,
        sets=BOOT,
    ),
    rule("ctime", rf"\[{_CTIME}\] ", "[", needs=BOOT, sets=LOG),
    rule("ctime", rf"{_CTIME}(?:(?=\[)|{SEPARATOR})", "MTWFS", needs=BOOT, keeps=OUTER, sets=LOG),
    # Launchers.
    rule(
        "sagemaker-mpi",
        rf"\[{M},mpirank:(?P<mpi_rank>{M}),(?P<host>{HOST})\]{_STREAM}{_ODD_BLANK}",
        "[",
    ),
    rule(
        "mpi-tag",
        rf"\[{HOST}@{M},(?P<mpi_rank>{M})\](?:\[(?P<host>{HOST}):(?P<pid>{M})\])?{_STREAM} ?",
        "[",
    ),
    rule("mpi-tag", rf"\[{M},(?P<mpi_rank>{M})\]{_STREAM}{_ODD_BLANK}", "["),
    rule("stream", r"std(?:err|out): (?=\S)", "s", forbids=LOG),
    rule("srun-label", rf" {{0,6}}(?P<label>{M}): ", " " + M, needs=OUTER),
    # What a batch system runs on each node before and after a job.
    rule(
        "node-script",
        rf"(?:(?:[Tt]ask)?[Pp]rolog|(?:[Tt]ask)?[Ee]pilog|nhc|health-?check)\[(?P<host>{HOST})\]: (?=\S)",
        "TtPpEenh",
        needs=OUTER,
    ),
    rule("pals", rf"(?P<host>{HOST}): (?=rank {M} )", ALPHA + M, needs=OUTER),
    rule(
        "pdsh",
        rf"(?P<host>(?!{_NO_HOST})(?:[a-z][a-z_]*|{M})(?:-[a-z_]+|-{M})*-{M}"
        rf"(?:\.[\w{M}-]{{1,63}}){{0,8}}|[a-z{M}][\w{M}-]{{0,62}}(?=[\w.-]{{0,252}}{M})(?:\.[\w{M}-]{{1,63}}){{0,8}}"
        rf"\.(?:local|internal|com|net|org|edu|gov|lan|cloud)): ",
        ALPHA + M,
        needs=OUTER,
    ),
    # Names of hosts without a digit: whether they are hosts, all lines of a job tell.
    rule("pdsh", rf"(?P<label>{M}\.{M}\.{M}\.{M}|{_NAMELESS}): ", ALPHA + M, needs=OUTER),
    rule("pdsh", rf"(?P<label>{_PLAIN}): (?={_HEADER})", ALPHA, needs=OUTER),
    rule(
        "torchrun-tee",
        rf"\[(?!{SOURCE}\])(?P<bracket>(?=[^\]]*{M})[\w.{M}@:-]{{1,80}})\]:{_ODD_BLANK}",
        "[",
        forbids=GLOG,
    ),
    rule(
        "host-bracket",
        rf"\[(?!{SOURCE}\])(?P<bracket>(?=[\w.-]*{M})[\w.{M}-]{{1,80}}:{M})\] ?(?=\S)",
        "[",
        needs=OUTER,
    ),
    rule(
        "ray",
        rf"\((?:[\w.:<>()=,/+{M} -]{{0,100}}?[ (])??(?:rank=(?P<rank>{M}) )?pid=(?P<pid>{M})?"
        rf"(?:, ?ip=(?P<ip>{_IP}))?\)(?: |$)",
        "(",
        forbids=LOG,
    ),
    rule("ray", rf"\((?:raylet|gcs_server|autoscaler)(?:, ?ip=(?P<ip>{_IP}))?\)(?: |$)", "(", forbids=LOG),
    rule(
        "rank",
        rf"\[(?i:global[ _-]?)?(?i:rank)[ :=]{{1,2}}(?P<rank>{M})(?:/{M})?\]:?(?: |$)",
        "[",
        keeps=LOG,
    ),
    rule("rank", rf"\[(?i:local[ _-]?rank)[ :=]{{1,2}}(?P<local_rank>{M})\]:?(?: |$)", "[", keeps=LOG),
    rule("rank", rf"(?i:rank)[ =](?P<rank>{M}) ?: ", "rR", keeps=LOG, forbids=GLOG),
    # The first of several values, a counter the next: other ranks are a message's, or LoRA's.
    rule(
        "rank",
        rf"rank=(?P<rank>{M}),? (?=(?:global_)?(?:step|iter|iteration|update)=[{M}])",
        "r",
        keeps=LOG,
        forbids=GLOG,
    ),
)
