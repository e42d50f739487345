"""Several studies at a time: processes that share the results folder and the cache of compiled programs.

Tracing keeps one thread of Python busy, compiling and running keep the others: while one study is traced another
computes. Each process is told one study at a time by its standard input and answers by its standard output. When its
input ends it is to end, too: the runs under way are finished and kept, as after Ctrl-C.
"""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from . import catalogue, memo, progress
from ._errors import Mistake, one_line, warn
from ._files import place
from .request import Request

AT_ONCE = 2
"""Each holds a study's arrays and its own compiler; a third would wait for a core of the two that a laptop may have."""


@dataclasses.dataclass(frozen=True)
class Done:
    """What became of one study."""

    computed: int = 0
    failed: int = 0
    not_drawn: int = 0
    error: str | None = None
    exit_code: int = 0


def run_one(request: Request, again: str) -> Done:
    """Run a study and write its page; what is wrong with it is said, and others go on."""
    from .pages import write_report
    from .session import run_study

    try:
        judged = run_study(request, again)
        write_report(judged)
    except Mistake as mistake:
        if os.environ.get("IMPLICIT_BIAS_TRACEBACK"):
            raise
        return Done(error=one_line(mistake), exit_code=mistake.exit_code)
    except OSError as error:
        what = one_line(f"cannot read or write {error.filename or 'a file'} ({error.strerror or error})")
        return Done(error=f"path: {what}; mend its permissions, or remove it", exit_code=Mistake.exit_code)
    return Done(judged.computed, judged.failed, len(judged.not_drawn))


def at_once() -> int:
    """How many studies this machine runs at a time: one where an accelerator, or a single core, would be shared."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if memo.devices() else min(AT_ONCE, cores)


def run_all(requests: Sequence[Request], again: str, tell: Callable[[Request, Done], None]) -> None:
    """Run studies, some at a time; `tell` hears of each in the order asked for."""
    count = min(at_once(), len(requests))
    if count < 2:
        for request in requests:
            tell(request, run_one(request, again))
        return
    waiting = queue.SimpleQueue[int]()
    for number in range(len(requests)):
        waiting.put(number)
    news = queue.SimpleQueue[tuple[int, Done]]()
    workers = [_Worker(requests, again, waiting, news) for _ in range(count)]
    try:
        heard: dict[int, Done] = {}
        for number, request in enumerate(requests):
            while number not in heard:
                place_, done = news.get()
                heard[place_] = done
            tell(request, heard[number])
    finally:
        for worker in workers:
            worker.end()
        for worker in workers:
            worker.wait()


class _Worker:
    """One process, and the thread that speaks with it."""

    CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from implicit_bias.pair import serve; serve()"

    def __init__(self, requests: Sequence[Request], again: str, waiting: queue.SimpleQueue, news: queue.SimpleQueue):
        # in a session of its own, Ctrl-C reaches this process alone, which ends the others once
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.CODE, json.dumps(sys.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=memo.ENVIRONMENT, start_new_session=True,
        )  # fmt: skip
        self._arguments = requests, again, waiting, news
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self._thread.start()

    def _speak(self) -> None:
        requests, again, waiting, news = self._arguments
        while True:
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return self.end()
            request = requests[number]
            asked = {
                "study": str(request.entry.path), "words": dict(request.words), "size": request.size,
                "out": str(request.out), "again": again,
            }  # fmt: skip
            answer = ""
            try:
                print(json.dumps(asked), file=self.process.stdin, flush=True)
                answer = self.process.stdout.readline()
            except (OSError, ValueError):
                pass  # it has ended: there is no answer
            if not answer:
                code = self.process.wait()
                what = f"the process that ran {request.entry.name} ended with {code}"
                news.put((number, Done(error=f"study: {what}; run it again: finished tiles are kept", exit_code=1)))
                return None
            news.put((number, Done(**json.loads(answer))))

    def end(self) -> None:
        try:
            self.process.stdin.close()
        except OSError:
            pass  # it has ended before

    def wait(self) -> None:
        self.process.wait()
        self._thread.join()
        self.process.stdout.close()


def serve() -> None:
    """The other process: studies from standard input, one after another, until it ends."""
    told: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    busy = threading.Event()
    answers = os.dup(1)
    os.dup2(2, 1)  # what a study prints is no answer

    def hear() -> None:
        for line in sys.stdin:
            told.put(json.loads(line))
        told.put(None)
        if busy.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    progress.LIVE = False
    warnings.simplefilter("default")
    warnings.showwarning = warn
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    threading.Thread(target=hear, daemon=True).start()
    try:
        while (asked := told.get()) is not None:
            busy.set()
            entry = catalogue.find(asked["study"])
            done = run_one(Request(entry, asked["words"], asked["size"], place(asked["out"])), asked["again"])
            busy.clear()
            os.write(answers, f"{json.dumps(dataclasses.asdict(done))}\n".encode())
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)
