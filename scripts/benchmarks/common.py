"""What the benchmarks share: rows that are timed in turns, a turn of the framework, the table."""

import dataclasses
import functools
import importlib.util
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import numpy as np

import implicit_bias as ib
from implicit_bias.sweep.work.execute import execute
from implicit_bias.sweep.keep.store import Store

from . import guard


class Row(NamedTuple):
    name: str
    turn: Callable[[], float]  # one timed turn: nanoseconds per run-step
    job: str
    error: float


def seconds(function: Callable, *arguments) -> float:
    begun = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begun


def framework(study: ib.Study, devices: list, unit: float = 1e9, over: int | None = None) -> Callable[[], float]:
    """A turn that runs the whole study into an empty folder, draws included: nanoseconds a run-step, or of `over`."""
    plan = study.plan()
    for batch in plan.batches:
        batch.program.compile(devices)

    def turn() -> float:
        with tempfile.TemporaryDirectory() as folder, study.in_precision():
            store = Store(folder)
            store.prepare()
            for batch in plan.batches:
                batch.program.forget()
            spent = seconds(functools.partial(execute, plan, store, devices=devices))
            return unit * spent / (over or sum(int(store.read(name).arrays["steps"].sum()) for name in store.names()))

    turn()  # compiles what `compile` leaves
    return turn


def in_float32(study: ib.Study, devices: list, seen: Callable[[Any], tuple[str, float]]) -> Row:
    """The same sweep in float32, which draws other data: `seen` says its job and its error, drawing as it does."""
    single = dataclasses.replace(study, precision="float32")
    found = single.run()
    with single.in_precision():
        job, error = seen(found)
    return Row("framework, float32", framework(single, devices), job, error)


def table(head: list[str], rows: list[list[str]], markdown: bool) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    lines = [head, ["-" * w for w in widths], *rows]
    start, gap, end = ("| ", " | ", " |") if markdown else ("", "  ", "")
    padded = [gap.join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    return "\n".join([*(f"{start}{line}{end}" for line in padded), ""])


def turns(rows: list[Row], rounds: int) -> np.ndarray:
    """[rounds, rows]"""
    return np.array([[row.turn() for row in rows] for _ in range(rounds)])


def short(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def report(
    title: str, rows: list[Row], times: np.ndarray, markdown: bool, unit: str = "ns a run-step",
    *, job: str = "runs x steps", error: str = "error in x", interval: bool = False,
) -> str:  # fmt: skip
    """`times` [rounds, rows]; a ratio is the median of the ratios within a round, with `interval` the least and greatest."""
    head = ["what", unit, "min - max", "ratio", job, error]

    def line(row: Row, t: np.ndarray) -> list[str]:
        ratios = t / times[:, 0]
        ratio = f"{np.median(ratios):.2f}" + (f" ({ratios.min():.2f} - {ratios.max():.2f})" if interval else "")
        return [row.name, short(np.median(t)), f"{short(t.min())} - {short(t.max())}", ratio, row.job, f"{row.error:.0e}"]

    cells = [line(row, t) for row, t in zip(rows, times.T)]
    guard.remember(f"{title}, {rows[0].job}", {row.name: float(np.median(t)) for row, t in zip(rows, times.T)})
    return "\n".join([f"{title}, {len(times)} rounds:", "", table(head, cells, markdown)])


def installed(*names: str) -> bool:
    """Whether peers are; a line says so where one is not."""
    absent = [name for name in names if importlib.util.find_spec(name.lower()) is None]
    if absent:
        print(f"{', '.join(absent)}: not installed, and without rows\n")
    return not absent


def processor() -> str:
    """The machine, whatever is installed on it."""
    with open("/proc/cpuinfo") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    where = f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"
    return where if jax.default_backend() == "cpu" else f"{jax.local_devices()[0].device_kind} beside {where}"


def machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "jaxlib", "numpy", "scipy"))
    return f"{processor()}; Python {platform.python_version()}, {versions}; float64\n"
