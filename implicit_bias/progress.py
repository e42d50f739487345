"""What a user sees while runs are computed: a live bar on a terminal or in a notebook, or lines in a log.

A command always says how far it is. `study.run` in Python does so in a notebook alone: a script has its own output, and
gives `tell` if it wants to hear of every tile.
"""

from __future__ import annotations

import contextlib
import html
import sys
from collections.abc import Callable, Iterator


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
        note = f"{_speed(progress):,.0f} runs/s{_failed(progress)}"
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
            print(
                f"{self.name}: {self.done + progress.runs_done:,} of {self.done + self.missing:,} runs, "
                f"{_speed(progress):,.0f} runs/s{_failed(progress)}"
                + (f", done in {progress.seconds:.1f} s" if over else f", {_left(progress):.0f} s left"),
                file=sys.stderr,
            )


class _Cell(_Tell):
    """A bar below a notebook's cell, which is drawn over: HTML's own element, so that nothing needs to be installed."""

    EVERY = 0.2

    def __init__(self, name: str, done: int, missing: int):
        super().__init__(name, done, missing)
        from IPython.display import display

        self._now, self._last, self._note = done, 0.0, "compiling" if missing else "nothing to compute"
        self._shown = display(self, display_id=True)

    def __call__(self, progress) -> None:
        over = progress.runs_done == progress.runs_total
        self._now = self.done + progress.runs_done
        self._note = f"{_speed(progress):,.0f} runs/s{_failed(progress)}"
        self._note += f", done in {progress.seconds:.1f} s" if over else f", {_left(progress):.0f} s left"
        if over or progress.seconds - self._last >= self.EVERY:
            self._last = progress.seconds
            self._shown.update(self)

    def close(self) -> None:
        if self._now < self.done + self.missing:  # it was interrupted, or tiles failed
            self._note = self._note.replace("compiling", "stopped")
            self._shown.update(self)

    def __repr__(self) -> str:
        return f"{self.name}: {self._now:,} of {self.done + self.missing:,} runs, {self._note}"

    def _repr_html_(self) -> str:
        bar = f'<progress max="{max(self.done + self.missing, 1)}" value="{self._now}" aria-label="runs"></progress>'
        return f'<div style="font-variant-numeric: tabular-nums">{bar} {html.escape(repr(self))}</div>'


def _speed(progress) -> float:
    return progress.runs_done / max(progress.seconds, 1e-9)


def _left(progress) -> float:
    return (progress.runs_total - progress.runs_done) / max(_speed(progress), 1e-9)


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


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this; IPython is not imported to ask."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return getattr(shell, "kernel", None) is not None


@contextlib.contextmanager
def notebook_bar(name: str, runs: int, missing: int) -> Iterator[Callable]:
    """A bar in a notebook; elsewhere nothing is said."""
    if not in_notebook():
        yield lambda progress: None
        return
    tell = _Cell(name, runs - missing, missing)
    try:
        yield tell
    finally:
        tell.close()
