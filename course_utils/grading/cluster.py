"""Several machines: an executor over Dask distributed, for `course grade --cluster ADDRESS`.

    with open_cluster("local:2") as cluster:
        answer = cluster.submit(judge_one, request).result()

| ADDRESS | what it is |
|---|---|
| `local:2` | two worker processes on this machine, started and ended with the batch |
| `slurm:8` (`pbs`, `sge`, `lsf`, `htcondor`, `oar`) | eight jobs of that batch system |
| `tls://host:8786`, `tcp://127.0.0.1:8786` | a scheduler that runs already |

Whoever reaches a scheduler can run programs as its user. So it listens on this machine alone, or
with TLS; any other address is refused.
"""

import contextlib
import ipaddress
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from course_utils.errors import CourseError, UsageError
from course_utils.grading.cache import BatchStopped

if TYPE_CHECKING:
    from distributed import Client, Future

INSTALL = "pip install -r requirements-cluster.txt -c constraints.txt"
ADDRESSES = "local:N, slurm:N (pbs, sge, lsf, htcondor, oar), tls://HOST:PORT, tcp://127.0.0.1:PORT"
SYSTEMS = {  # batch system -> class of dask-jobqueue; "jobs": plain processes, to try the path
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
    "jobs": "local.LocalCluster",
}
STARTING, QUEUEING = 120.0, 24 * 3600.0  # seconds that the first worker may take, by who starts it
GONE = 600.0  # seconds without any worker, then the batch stops
TICK = 1.0
MOST_DEATHS = 20  # of workers with one submission on their hands, begun or waiting
SETTINGS = {
    "distributed.worker.daemon": False,  # a judge starts processes of its own
    # Whose submission was it? The start that a worker notes itself tells; see remote.note_start.
    "distributed.scheduler.allowed-failures": MOST_DEATHS,
    "distributed.worker.memory.target": False,  # the sandbox's limits hold, not Dask's
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
}


class Cluster:
    """An open cluster. `submit` gives an answer to wait for; `slots` submissions run at a time."""

    def __init__(self, address: str, client: "Client", slots: int) -> None:
        self.address, self.client, self.slots = address, client, slots
        self.alone_since: float | None = None

    def submit(self, function: Callable[[Any], Any], request: dict[str, Any]) -> "Answer":
        """Have one worker call a function (found by its name there) with a request of JSON."""
        future = self.client.submit(function, request, pure=False)
        return Answer(self, future)

    def check_workers(self) -> None:
        """BatchStopped when there has been no worker for too long."""
        if self.client.nthreads():
            self.alone_since = None
            return
        self.alone_since = self.alone_since or time.monotonic()
        if time.monotonic() - self.alone_since > GONE:
            raise self.lost("has had no worker for ten minutes")

    def lost(self, what: str) -> BatchStopped:
        return BatchStopped(
            f"the cluster {self.address} {what}; nothing graded is lost",
            "look at its workers' logs, then go on with the same command and --resume",
        )


class Answer:
    """What a worker will answer."""

    def __init__(self, cluster: Cluster, future: "Future") -> None:
        self.cluster, self.future = cluster, future

    def result(self) -> Any:
        """Wait for it. Dask gives the request to another worker where one dies.

        Raises BatchStopped where the cluster is gone, or workers die one after the other.
        """
        from concurrent.futures import CancelledError

        from distributed import TimeoutError as NotYet
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker

        while True:
            try:
                found = self.future.result(timeout=TICK)
                self.future.release()  # or it would be asked again when that worker dies later
                return found
            except NotYet:
                # A network drive that gave up raises the same class, and would be asked for ever.
                if self.future.status == "error" and isinstance(self.future.exception(), NotYet):
                    raise self.cluster.lost("ended with an error of its system") from None
                self.cluster.check_workers()
            except KilledWorker:
                raise self.cluster.lost(f"lost {MOST_DEATHS} workers in a row") from None
            except (CancelledError, CommClosedError, OSError):
                raise self.cluster.lost("does not answer any more") from None


@contextlib.contextmanager
def open_cluster(address: str) -> Iterator[Cluster]:
    """Start or reach a cluster and wait for its first worker.

    Raises UsageError for an address that is none or not safe, CourseError where it can't be had.
    """
    kind, _, rest = address.partition(":")
    if kind not in ("local", "tcp", "tls", *SYSTEMS):
        raise UsageError(f"--cluster {address}: no such kind of cluster", ADDRESSES)
    if kind == "tcp" and not is_loopback(address):
        raise UsageError(
            f"--cluster {address}: whoever reaches this scheduler can run programs as you, and "
            "nothing keeps others out",
            "start scheduler and workers with TLS (docs/cluster.md) and give tls://HOST:PORT",
        )
    count = _count(address, rest) if kind not in ("tcp", "tls") else 0
    _import()
    import dask

    with dask.config.set(SETTINGS), contextlib.ExitStack() as stack:
        if kind in ("tcp", "tls"):
            client = stack.enter_context(_reached(address))
        else:
            start = _local if kind == "local" else _jobs(kind)
            client = stack.enter_context(start(count))
        _wait(client, address, QUEUEING if kind in SYSTEMS else STARTING)
        yield Cluster(address, client, count or max(1, sum(client.nthreads().values())))


def is_loopback(address: str) -> bool:
    """Whether tcp://HOST:PORT is this machine's own."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _count(address: str, text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise UsageError(f"--cluster {address}: how many?", ADDRESSES)
    return int(text)


def _import() -> None:
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise CourseError(f"{error.name}: not installed", INSTALL) from None


@contextlib.contextmanager
def _local(count: int) -> Iterator["Client"]:
    """Workers of one thread each on loopback; a nanny starts a dead one again."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _jobs(kind: str) -> Callable[[int], Any]:
    """Jobs of a batch system, with TLS by keys that last as long as the batch.

    What a job asks for (queue, memory, time) stands in dask-jobqueue's own configuration file.
    """

    @contextlib.contextmanager
    def start(count: int) -> Iterator["Client"]:
        from distributed import Client

        with job_cluster(kind) as cluster, Client(cluster, security=cluster.security) as client:
            # Jobs that end, at their time limit say, are replaced while this runs.
            cluster.adapt(minimum_jobs=count, maximum_jobs=count)
            yield client

    return start


def job_cluster(kind: str) -> Any:
    """A cluster of jobs, none of them handed to the batch system yet: `job_script()` shows one.

    A job is another machine's process and knows nothing of this one's Dask settings, so its command
    names those that a worker needs.
    """
    import dask
    from distributed.security import Security

    try:
        make = _class(SYSTEMS[kind])
        security = Security.temporary()
    except (ImportError, AttributeError) as error:
        raise CourseError(f"{kind}: {error}", INSTALL) from None
    named = dask.config.get(f"jobqueue.{make.job_cls.default_config_name()}.python", None)
    python = f"{_environment()} {named or shlex.quote(sys.executable)}"
    try:
        return make(protocol="tls://", security=security, python=python)
    except (ValueError, TypeError, OSError, RuntimeError) as error:  # an interface, a folder too
        why = f"{error} ({error.__cause__})" if error.__cause__ else f"{error}"
        cure = "mend ~/.config/dask/jobqueue.yaml: docs/cluster.md shows a whole one"
        raise CourseError(f"{kind}: {why}", cure) from None


def _environment() -> str:
    """SETTINGS as Dask reads them from variables: env DASK_DISTRIBUTED__WORKER__DAEMON=False ..."""
    names = {"DASK_" + n.replace(".", "__").replace("-", "_").upper(): n for n in SETTINGS}
    return " ".join(["env", *(f"{variable}={SETTINGS[name]}" for variable, name in names.items())])


def _class(name: str) -> Any:
    from importlib import import_module

    module, _, own = name.rpartition(".")
    before = signal.getsignal(signal.SIGINT)
    try:
        return getattr(import_module(f"dask_jobqueue.{module}" if module else "dask_jobqueue"), own)
    finally:  # dask_jobqueue.runner makes Ctrl-C an exit without a word, as soon as it is imported
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _reached(address: str) -> Iterator["Client"]:
    """A scheduler that runs; certificates for TLS are named in Dask's own configuration."""
    from distributed import Client
    from distributed.security import Security

    security = Security(require_encryption=True) if address.startswith("tls") else None
    try:
        client = Client(address, security=security, timeout=10)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise CourseError(
            f"--cluster {address}: {str(error) or type(error).__name__}",
            "is the scheduler running there? For tls:// its certificates: docs/cluster.md",
        ) from None
    with client:
        yield client


def _wait(client: "Client", address: str, seconds: float) -> None:
    from distributed import TimeoutError as NotYet

    try:
        client.wait_for_workers(1, timeout=seconds)
    except (NotYet, TimeoutError):
        raise CourseError(
            f"--cluster {address}: no worker came within {seconds:.0f} s",
            "look at its workers' logs (docs/cluster.md)",
        ) from None
