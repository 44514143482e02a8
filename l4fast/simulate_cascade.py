"""What the victims say: each rank's part of the course that a breakage took.

All of it is said through `Voice`, which drops what a rank would have said after its own end; so
nothing here asks who is still alive.
"""

from __future__ import annotations

import numpy as np

from l4fast.simulate_book import Voice
from l4fast.simulate_nccl import (
    caught,
    dies_of_silence,
    dump,
    gives_up,
    peer_closed,
    remote_exited,
    retry_exceeded,
    throws,
)
from l4fast.simulate_physics import HEARTBEAT_S, Incident, sleep_s
from l4fast.simulate_python import SITE, traceback


def tell(voice: Voice, incident: Incident, last: int) -> None:
    """Let all ranks say what happened to them, ``last`` being the last iteration that was complete."""
    _losses(voice, incident)
    _joining(voice, incident)
    job, course = voice.job, voice.course
    absent = set(incident.absent)
    for rank in np.flatnonzero(np.isfinite(course.cry_s)).tolist():
        t, kind = float(course.cry_s[rank]), int(course.waits[rank])
        ran_ms = int(1000 * (t - course.blocked_s[rank]))
        text = caught(job, rank, kind, ran_ms, last)
        first = bool(np.isinf(course.signal_s[rank]))
        voice.rank(rank, t, gives_up(job, rank, t, kind, text, last, first=first))
        voice.rank(rank, t + sleep_s(job), throws(job, rank, t + sleep_s(job), text))
    for rank in np.flatnonzero(np.isfinite(course.signal_s)).tolist():
        t = float(course.signal_s[rank])
        waiting = None if rank in absent else int(course.waits[rank])
        voice.rank(rank, t, dump(job, rank, t, course.first, last, waiting=waiting))
        if np.isinf(course.cry_s[rank]):
            voice.rank(rank, t + HEARTBEAT_S, dies_of_silence(job, rank, t + HEARTBEAT_S))


def _losses(voice: Voice, incident: Incident) -> None:
    """The neighbours of the dead and of the cut off lose their connection, and break of it.

    Where only a link is gone both of its ends say so, and each names the other: no line tells whose it is.
    """
    job = voice.job
    voice.naming = not incident.cut
    bad = {job.node_of(rank) for rank in incident.cut} | set(incident.gone)
    bad |= {job.node_of(rank) for rank in incident.deaths}
    for rank, (t, peer, how) in voice.course.lost.items():
        kind = incident.accuse if job.node_of(peer) in bad or rank in incident.cut else "consequence"
        if how == "retry":
            old = job.habits.torch in ("2.2", "2.4")
            why = f"NET/IB{' ' * old}: Got completion with {'error 12' if old else 'status=12'}"
            warning = retry_exceeded(job, rank, peer, kind)
        else:
            why = "socketProgress: Connection closed by remote peer"
            warning = peer_closed(job, rank, peer, kind)
        if job.habits.nccl_lines:
            voice.rank(rank, t, warning, "stdout")
        voice.rank(rank, t + 0.4, remote_exited(job, rank, why))
    voice.naming = True


def _joining(voice: Voice, incident: Incident) -> None:
    """Ranks that came wait for those that did not; rank 0 holds the store, and counts."""
    job, store = voice.job, voice.course.store_s
    missing = len(incident.absent)
    frames = f'  File "{SITE}/torch/distributed/rendezvous.py", line 189, in _create_c10d_store\n    '
    for rank in np.flatnonzero(np.isfinite(store)).tolist():
        if rank == 0:
            text = (
                "torch.distributed.DistStoreError: Timed out after 601 seconds waiting for clients. "
                f"{job.n_ranks - missing}/{job.n_ranks} clients joined."
            )
        else:
            text = (
                f"torch.distributed.DistBackendError: [{rank}] is setting up NCCL communicator and "
                "retrieving ncclUniqueId from [0] via c10d key-value store by key '0', but store->get('0') "
                "got error: Connection reset by peer"
            )
        said = traceback(job, None, f"{frames}return TCPStore(", [("consequence", text)])
        voice.rank(rank, float(store[rank]) - 0.05, said)
