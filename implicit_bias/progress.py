"""What a user sees while runs are computed: a live bar on a terminal, or a line every few seconds in a log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


LIVE = True
"""Whether this process has the terminal to itself."""


class _Tell:
    def __init__(self, name: str, done: int, missing: int):
        self.name, self.done, self.missing = name, done, missing

    def __call__(self, progress) -> None: ...

    def close(self) -> None: ...


class _Bar(_Tell):
    """A live bar on a terminal."""

    def __init__(self, name: str, done: int, missing: int):
        super().__init__(name, done, missing)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(name, total=done + missing, completed=done, note="compiling")
        self._bar.start()

    def __call__(self, progress) -> None:
        note = f"{progress.runs_done / max(progress.seconds, 1e-9):,.0f} runs/s{_failed(progress)}"
        self._bar.update(self._task, completed=self.done + progress.runs_done, note=note)

    def close(self) -> None:
        self._bar.stop()


class _Lines(_Tell):
    """One line every few seconds, for logs."""

    EVERY = 5.0

    def __init__(self, name: str, done: int, missing: int):
        super().__init__(name, done, missing)
        self._last = 0.0
        print(f"{name}: {missing:,} runs to compute, {done:,} done", file=sys.stderr)

    def __call__(self, progress) -> None:
        over = progress.runs_done == progress.runs_total
        if over or progress.seconds - self._last >= self.EVERY:
            self._last = progress.seconds
            speed = progress.runs_done / max(progress.seconds, 1e-9)
            left = (progress.runs_total - progress.runs_done) / max(speed, 1e-9)
            print(
                f"{self.name}: {self.done + progress.runs_done:,} of {self.done + self.missing:,} runs, "
                f"{speed:,.0f} runs/s{_failed(progress)}"
                + (f", done in {progress.seconds:.1f} s" if over else f", {left:.0f} s left"),
                file=sys.stderr,
            )


def _failed(progress) -> str:
    bad = {k: v for k, v in progress.by_status.items() if k not in ("converged", "capped")}
    return "".join(f", {v:,} {k}" for k, v in sorted(bad.items()))


@contextlib.contextmanager
def progress(name: str, runs: int, missing: int) -> Iterator[_Tell]:
    tell = (_Bar if LIVE and sys.stderr.isatty() else _Lines)(name, runs - missing, missing)
    try:
        yield tell
    finally:
        tell.close()
