"""Joining: several processes, on several hosts, become one JAX program.

JAX's own start says little when it fails: a process that is missing, or a name that does not resolve, is a page of C++
after minutes. So the processes meet here first: process 0 listens at the coordinator's address, the others report to
it, and once all are there JAX takes over the same port. Every way to fail is one line, in bounded time.

    with joined("node001:7777", os.environ, process=1, processes=2):   # before JAX makes its first device
        ...

The coordinator is not protected by any secret: use it on a network you trust.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Mapping

from .._errors import Mistake

PATIENCE = 120.0
"""Seconds that processes wait for each other at the start."""
HEARTBEAT = 60
"""Seconds after which JAX ends all processes if one is silent. One that dies within a sum is noticed at once (CPU)."""
GRACE = 2.0
"""Seconds that process 0 stays after a failure: when it goes, JAX aborts the others with a page of C++."""
HELLO = re.compile(rb"(\d{1,6})/(\d{1,6})\n")


@contextlib.contextmanager
def joined(
    coordinator: str | None,
    environ: Mapping[str, str],
    *,
    process: int | None = None,
    processes: int | None = None,
    patience: float = PATIENCE,
) -> Iterator[None]:
    """`join`, and leave at the end: together after success, at once after a failure (the exception passes through)."""
    import jax

    join(coordinator, environ, process=process, processes=processes, patience=patience)
    try:
        yield
    except BaseException as error:
        _leave_at_exit(_exit_code(error))
        raise
    jax.distributed.shutdown()


def join(
    coordinator: str | None,
    environ: Mapping[str, str],
    *,
    process: int | None = None,
    processes: int | None = None,
    patience: float = PATIENCE,
) -> None:
    """Become one of `processes`, before JAX makes its first device. What is not given is SLURM's."""
    index, count = _place(environ, process, processes)
    host, port = parse(coordinator or _slurm_coordinator(environ))
    at = _written(host, port)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        what = f"{host!r} does not resolve ({getattr(error, 'strerror', None) or error})"
        raise Mistake("coordinator", what, "give HOST:PORT of process 0, as this host knows it") from None
    listen = host if host in ("localhost", "::1") or host.startswith("127.") else ""
    if index == 0:
        _receive(listen, port, at, count, patience)
    else:
        _report(host, port, at, index, count, patience)

    import jax
    from jax.experimental import multihost_utils

    jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM
    # A program that comes from the cache has lost the order of its sums, and waits for ever (jax 0.10.2, CPU).
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        jax.distributed.initialize(
            at,
            count,
            index,
            cluster_detection_method="deactivate",
            coordinator_bind_address=at if listen else None,
            initialization_timeout=max(1, int(patience)),
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=HEARTBEAT,
        )
        # The first sum connects the processes to each other and waits for half a minute; later ones wait for ever.
        multihost_utils.sync_global_devices("joined")
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        what = f"the processes met at {at} and could not connect ({' '.join(str(error).split())[:160]})"
        remedy = "each host's own name must resolve to an address that the others reach; unset proxy variables"
        raise Mistake("coordinator", what, remedy) from error


# -- who and where -------------------------------------------------------------------------------------------------------


def _place(environ: Mapping[str, str], process: int | None, processes: int | None) -> tuple[int, int]:
    """Which process of how many this is."""
    index = process if process is not None else environ.get("SLURM_PROCID")
    count = processes if processes is not None else environ.get("SLURM_NTASKS")
    if index is None or count is None:
        what = "it is not known which of how many processes this is"
        raise Mistake("process", what, "give --process I --processes N, or start with srun")
    if not 0 <= int(index) < int(count):
        raise Mistake("process", f"there is no process {index} of {count}", "they count from 0")
    if int(count) == 1:
        raise Mistake("processes", "is 1, which has nothing to span", "start several, or leave --span out")
    return int(index), int(count)


def parse(coordinator: str) -> tuple[str, int]:
    """
    >>> parse("node001:7777"), parse("[::1]:7777")
    (('node001', 7777), ('::1', 7777))
    """
    host, _, port = coordinator.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise Mistake("coordinator", f"{coordinator!r} is no HOST:PORT", "write node001:7777")
    return host, int(port)


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _slurm_coordinator(environ: Mapping[str, str]) -> str:
    """The first host of the step, and a port that follows from the job's number, as JAX takes them.

    >>> _slurm_coordinator({"SLURM_JOB_ID": "12", "SLURM_STEP_NODELIST": "gpu[003-004,9],login"})
    'gpu003:61452'
    """
    job = environ.get("SLURM_JOB_ID", "")
    nodes = re.match(r"([^,\[]+)(?:\[([^],-]+))?", environ.get("SLURM_STEP_NODELIST", ""))
    if not nodes or not job.isdecimal():
        raise Mistake("coordinator", "is not given, and this is no step of SLURM", "give --coordinator HOST:PORT")
    return f"{nodes[1]}{nodes[2] or ''}:{int(job) % 2**12 + 65536 - 2**12}"


# -- meeting -------------------------------------------------------------------------------------------------------------


def _receive(listen: str, port: int, at: str, count: int, patience: float) -> None:
    """Process 0: wait until all others have reported, then let them go on."""
    until = time.monotonic() + patience
    waiting: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_server(listen, port, at))
        while len(waiting) < count - 1:
            server.settimeout(max(0.0, until - time.monotonic()) or 1e-3)
            try:
                other, _ = server.accept()
            except TimeoutError:
                absent = ", ".join(str(i) for i in range(1, count) if i not in waiting)
                what = f"process {absent} did not report to {at} within {patience:g} s"
                raise Mistake("coordinator", what, f"start all {count} processes with one coordinator") from None
            stack.enter_context(other)
            try:
                other.settimeout(5.0)
                said = HELLO.fullmatch(other.recv(64))
            except OSError:
                continue
            if said is None or not 0 < int(said[1]) < count or int(said[2]) != count:
                continue  # a stranger, or one who counts differently: it is told by the closed line
            waiting[int(said[1])] = other
        for other in waiting.values():
            with contextlib.suppress(OSError):
                other.sendall(b"go\n")


def _server(listen: str, port: int, at: str) -> socket.socket:
    dual = not listen and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual or ":" in listen else socket.AF_INET
    try:
        return socket.create_server((listen, port), family=family, dualstack_ipv6=dual)
    except OSError as error:
        remedy = "choose another port, the same for all processes"
        raise Mistake("coordinator", f"cannot listen at {at} ({error.strerror})", remedy) from None


def _report(host: str, port: int, at: str, index: int, count: int, patience: float) -> None:
    """Every other process: say who this is, and wait for the word to go on."""
    until = time.monotonic() + patience
    answered = False
    while (left := until - time.monotonic()) > 0:
        try:
            with socket.create_connection((host, port), timeout=min(left, 10.0)) as line:
                answered = True
                line.sendall(f"{index}/{count}\n".encode())
                line.settimeout(left + 1.0)
                if line.recv(16) == b"go\n":
                    return
                break
        except OSError:
            time.sleep(min(0.2, max(0.0, until - time.monotonic())))
    if answered:
        what = f"{at} answered and did not let process {index} of {count} join"
        raise Mistake("coordinator", what, "see the line of process 0; give all the same --processes")
    what = f"nothing answers at {at} after {patience:g} s"
    raise Mistake("coordinator", what, "start process 0 there, and let its port through")


# -- leaving -------------------------------------------------------------------------------------------------------------


def _exit_code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, KeyboardInterrupt):
        return 130
    return getattr(error, "exit_code", 2) if isinstance(error, Mistake) else 1


def _leave_at_exit(code: int) -> None:
    """End without waiting for the others at JAX's barrier, where they will not come: registered last, this is first."""

    def leave() -> None:
        import jax

        sys.stdout.flush()
        sys.stderr.flush()
        if jax.process_index() == 0:
            time.sleep(GRACE)
        os._exit(code)

    atexit.register(leave)
