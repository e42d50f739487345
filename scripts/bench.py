r"""How fast is a sweep?  The path that `run` takes, beside what one would write by hand for the same job.

    python scripts/bench.py wn [--sizes 20x100,100x2000] [--steps 2000] [--runs 4096] [--rounds 5] [--devices 2]

The job is weight-normalised least squares in float64, 64 scales for each seed, a fixed number of steps. The framework's
rows are a whole sweep into an empty folder: draws, one SVD a seed, steps, records, verified tiles on disk; compiled
before. A peer gets its data drawn and its SVDs done for nothing, and is timed for its steps alone:

    numpy rewritten     the framework's own rewriting (m + 1 coordinates), [m, lanes] in blocks that fit the cache, in
                        place; it separates the algebra from the engine
    numpy full          A w by matmul in blocks of seeds that share A, in place
    plain jax           jit of nested vmaps around a fori_loop, A shared over scales
    numpy loop          one run after another

Every peer must first reproduce the framework's |x| after the steps it is given. The slow ones are given fewer steps, or
runs: a step costs the same at any point of a run, so the time of one step of one run can be compared. All are timed in
one process in turns (A B C A B C ...), so that a busy machine slows them alike: trust ratios, not times.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the commands do; peers use several threads by their own pools

import argparse
import functools
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import implicit_bias as ib
from implicit_bias.sweep.engine import Program
from implicit_bias.sweep.execute import execute
from implicit_bias.sweep.store import Store

STEP, RATIO, STOP_BELOW, G_STAR = 5e-3, 1.0, 1e-5, 3.0
SCALES = np.geomspace(1e-2, 4, 64)
AGREE = 1e-8
"""Peers and framework differ by rounding only, which thousands of contracting steps do not amplify."""
TURN = 0.4
"""Seconds that one turn of a peer should take."""


class Data(NamedTuple):
    """What the peers are given: the framework's draws, and the rewritten problem of each seed."""

    A: np.ndarray  # [seeds, m, d]
    y: np.ndarray  # [seeds, m]
    w: np.ndarray  # [seeds, d]
    singular: np.ndarray  # [seeds, m]
    target: np.ndarray  # [seeds, m]
    row: np.ndarray  # [seeds, m]
    perp: np.ndarray  # [seeds]


class Peer(NamedTuple):
    name: str
    seeds: int
    """It runs the first so many seeds, 64 scales each."""
    run: Callable[[int], np.ndarray]
    """steps -> |x|, [seeds, scales]"""


class Row(NamedTuple):
    name: str
    turn: Callable[[], float]
    """One timed turn: nanoseconds per run-step."""
    job: str
    error: float


# -- the framework ----------------------------------------------------------------------------------------------------


def weight_normalisation(rows: int, columns: int, seeds: int, max_steps: int, stop: bool, records) -> ib.Study:
    def cell(*, scale, key):
        problem = ib.linear.gaussian(rows, columns, target_norm=G_STAR)(key)
        rule = ib.loss_below(STOP_BELOW) if stop else None
        return ib.Run(problem, ib.Polar(scale), ib.Descent(STEP, ratio=RATIO, stop=rule, max_steps=max_steps))

    grids = ib.grid(seed=range(seeds), scale=SCALES)
    return ib.Study(cell=cell, grids=grids, observe={"norm": ib.norm(2)}, records=ib.records_at(records))


def framework(study: ib.Study, devices: list) -> Callable[[], float]:
    """A turn that runs the whole study into an empty folder."""
    plan = study.plan()
    for batch in plan.batches:
        batch.program.compile(devices)

    def turn() -> float:
        with tempfile.TemporaryDirectory() as folder:
            store = Store(folder)
            store.prepare()
            begun = time.perf_counter()
            execute(plan, store, devices=devices)
            seconds = time.perf_counter() - begun
            steps = sum(int(store.read(name).arrays["steps"].sum()) for name in store.names())
        return 1e9 * seconds / steps

    return turn


def profile(study: ib.Study, devices: list) -> None:
    """Where one sweep's time goes. Each part is waited for, which the real path does not do, and parts overlap."""
    spent: dict[str, float] = {}
    lock = threading.Lock()

    def timed(name, function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            begun = time.perf_counter()
            try:
                return jax.block_until_ready(function(*args, **kwargs))
            finally:
                with lock:
                    spent[name] = spent.get(name, 0.0) + time.perf_counter() - begun

        return call

    begun = time.perf_counter()
    plan = study.plan()
    planned = time.perf_counter()
    for batch in plan.batches:
        batch.program.compile(devices)
    print(f"\nplan (trace, lower, door) {planned - begun:.3f} s, compile {time.perf_counter() - planned:.3f} s")
    compiled, launch, write = Program.compiled, Program.launch, Store.write
    Program.compiled = lambda self, name, device: timed(name, compiled(self, name, device))
    Program.launch, Store.write = timed("launch", launch), timed("tile", write)
    try:
        with tempfile.TemporaryDirectory() as folder:
            store = Store(folder)
            store.prepare()
            begun = time.perf_counter()
            execute(plan, store, devices=devices)
            wall = time.perf_counter() - begun
    finally:
        Program.compiled, Program.launch, Store.write = compiled, launch, write
    spent["put, dispatch"] = spent.pop("launch") - spent["start"] - spent["advance"]
    spent["other host work"] = len(devices) * wall - sum(v for k, v in spent.items() if k != "tile")
    print(f"execute: {wall:.3f} s on {len(devices)} device(s); seconds summed over devices, tiles on the main thread beside them")
    for name, seconds in spent.items():
        print(f"    {name:18s}{seconds:8.3f} s {100 * seconds / (len(devices) * wall):5.1f} %")


def draw(rows: int, columns: int, seeds: int) -> Data:
    def one(seed):
        problem = ib.linear.gaussian(rows, columns, target_norm=G_STAR)(jax.random.key(seed))
        return problem.operator, problem.target, ib.Polar(1.0).init(problem, jax.random.key(seed)).w

    A, y, w = map(np.array, jax.jit(jax.vmap(one))(jnp.arange(seeds)))
    U, singular, Vt = np.linalg.svd(A, full_matrices=False)
    row = np.einsum("sid,sd->si", Vt, w)
    perp = np.linalg.norm(w - np.einsum("sid,si->sd", Vt, row), axis=1)
    return Data(A, y, w, singular, np.einsum("sri,sr->si", U, y), row, perp)


# -- the peers --------------------------------------------------------------------------------------------------------


def rewritten_block(data: Data, seeds: slice, watch: Callable | None = None) -> Callable[[int], np.ndarray]:
    """Runs of some seeds in singular coordinates, lanes last. x = (g/n) w, n = |w|; w_perp is carried as a number."""
    count, lanes = len(data.row[seeds]), len(data.row[seeds]) * len(SCALES)

    def spread(v):  # [seeds, ...] -> [..., lanes]
        return np.ascontiguousarray(np.repeat(v[seeds], len(SCALES), axis=0).T)

    curvature, pull, start, perp0 = (
        spread(v) for v in (data.singular**2, data.singular * data.target, data.row, data.perp)
    )

    def run(steps: int) -> np.ndarray:
        w, t, g = start.copy(), perp0.copy(), np.tile(SCALES, count)
        q = np.empty_like(w)
        n, n2, k, wq, h = np.empty((5, lanes))

        def normalise():
            np.einsum("ij,ij->j", w, w, out=n2)
            np.multiply(t, t, out=h)
            np.add(n2, h, out=n2)
            np.sqrt(n2, out=n)
            np.divide(g, n, out=k)

        for i in range(steps):
            normalise()
            if watch is not None:
                watch(i, k, w, n, g)
            np.multiply(curvature, w, out=q)  # q = grad_x = s (s x - b)
            np.multiply(q, k, out=q)
            np.subtract(q, pull, out=q)
            np.einsum("ij,ij->j", w, q, out=wq)
            np.divide(wq, n, out=h)  # g' = g - eta c (w.q) / n
            np.multiply(h, STEP * RATIO, out=h)
            np.subtract(g, h, out=g)
            np.multiply(k, STEP, out=k)  # w' = (1 + eta k (w.q) / n^2) w - eta k q
            np.divide(wq, n2, out=h)
            np.multiply(h, k, out=h)
            np.add(h, 1, out=h)
            np.multiply(w, h, out=w)
            np.multiply(t, h, out=t)
            np.multiply(q, k, out=q)
            np.subtract(w, q, out=w)
        return np.abs(g).reshape(count, -1)

    return run


def full_block(data: Data, seeds: slice) -> Callable[[int], np.ndarray]:
    """Runs of some seeds in the original coordinates, [seeds, d, scales]: A is shared over the scales."""
    A, y = data.A[seeds], data.y[seeds][:, :, None]
    transposed = np.ascontiguousarray(A.transpose(0, 2, 1))

    def run(steps: int) -> np.ndarray:
        w = np.repeat(data.w[seeds][:, :, None], len(SCALES), axis=2)
        g = np.tile(SCALES, (len(A), 1, 1))  # [seeds, 1, scales]
        q, r = np.empty_like(w), np.empty((len(A), A.shape[1], len(SCALES)))
        n2, wq, h = np.empty((3, *g.shape))
        for _ in range(steps):
            np.einsum("sdl,sdl->sl", w, w, out=n2[:, 0])
            n = np.sqrt(n2)
            k = g / n
            np.matmul(A, w, out=r)
            np.multiply(r, k, out=r)
            np.subtract(r, y, out=r)
            np.matmul(transposed, r, out=q)
            np.einsum("sdl,sdl->sl", w, q, out=wq[:, 0])
            np.divide(wq, n, out=h)
            np.subtract(g, STEP * RATIO * h, out=g)
            np.multiply(k, STEP, out=k)
            np.multiply(q, k, out=q)
            np.multiply(w, 1 + k * (wq / n2), out=w)
            np.subtract(w, q, out=w)
        return np.abs(g[:, 0])

    return run


def tuned(name: str, make: Callable, data: Data, seeds: int, sizes: tuple, threads: tuple) -> list[Peer]:
    """A peer in blocks of so many seeds as are fastest, for each number of threads (NumPy releases the lock)."""

    def blocks(size: int, pool: ThreadPoolExecutor | None) -> Callable[[int], np.ndarray]:
        runs = [make(data, slice(i, min(i + size, seeds))) for i in range(0, seeds, size)]
        return lambda steps: np.concatenate(list((pool.map if pool else map)(lambda run: run(steps), runs)))

    peers = []
    for count in threads:
        pool = ThreadPoolExecutor(count) if count > 1 else None
        choices = {size: blocks(size, pool) for size in sizes if size * count <= seeds}
        best = min(choices, key=lambda size: min(seconds(choices[size], 20) for _ in range(3)))
        words = f"{name}, {count} thread{'s' * (count > 1)}, {best} seed{'s' * (best > 1)} a block"
        peers.append(Peer(words, seeds, choices[best]))
    return peers


def plain_jax(data: Data, seeds: int) -> Peer:
    def one(A, y, w, g, steps):
        def predictor(g, w):
            return g * w / jnp.linalg.norm(w)

        def step(_, theta):
            g, w = theta
            slope_g, slope_w = jax.grad(lambda g, w: 0.5 * jnp.sum((A @ predictor(g, w) - y) ** 2), (0, 1))(g, w)
            return g - STEP * RATIO * slope_g, w - STEP * slope_w

        g, w = jax.lax.fori_loop(0, steps, step, (g, w))
        return jnp.linalg.norm(predictor(g, w))

    over_scales = jax.vmap(one, in_axes=(None, None, None, 0, None))
    sweep = jax.jit(jax.vmap(over_scales, in_axes=(0, 0, 0, None, None)))
    arrays = jax.device_put((data.A[:seeds], data.y[:seeds], data.w[:seeds], SCALES))
    return Peer("plain jax, nested vmap", seeds, lambda steps: np.asarray(sweep(*arrays, steps)))


def numpy_loop(data: Data, seeds: int) -> Peer:
    def one(A, y, w, g, steps):
        for _ in range(steps):
            n = np.sqrt(w @ w)
            u = w / n
            q = A.T @ (A @ (g * u) - y)
            uq = u @ q
            g, w = g - STEP * RATIO * uq, w - STEP * g / n * (q - uq * u)
        return abs(g)

    def run(steps):
        return np.array([[one(data.A[s], data.y[s], data.w[s], g, steps) for g in SCALES] for s in range(seeds)])

    return Peer("numpy loop over runs", seeds, run)


# -- measuring --------------------------------------------------------------------------------------------------------


def seconds(function: Callable, *arguments) -> float:
    begun = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begun


def affordable(peer: Peer, most: int) -> int:
    """So many steps that a turn takes about TURN seconds."""
    peer.run(1)  # compiled, where it compiles
    few = min(10, most)
    return int(np.clip(few * TURN / seconds(peer.run, few), few, most))


def stop_error(data: Data, norm: np.ndarray, steps: np.ndarray) -> float:
    """The error of |x| of stopped runs, [seeds, scales]; infinite if one stops at another step than in NumPy."""
    seeds = len(norm)
    first, size = np.full(norm.size, -1), np.zeros(norm.size)
    s = np.repeat(data.singular[:seeds], len(SCALES), axis=0).T
    b = np.repeat(data.target[:seeds], len(SCALES), axis=0).T

    def watch(i, k, w, n, g):
        del n
        below = (0.5 * ((s * (k * w) - b) ** 2).sum(0) < STOP_BELOW) & (first < 0)
        first[below], size[below] = i, np.abs(g[below])

    rewritten_block(data, slice(0, seeds), watch)(int(steps.max()) + 1)
    return float(np.abs(size - norm.ravel()).max()) if (first == steps.ravel()).all() else np.inf


def rows_of(size: tuple[int, int], options: argparse.Namespace, devices: list) -> list[Row]:
    """Everything that is timed for one size, verified."""
    (rows, columns), seeds, steps = size, options.runs // len(SCALES), options.steps
    data = draw(rows, columns, seeds)
    few = seeds if rows * columns <= 5000 else min(seeds, 4)
    two = (1, 2) if os.cpu_count() > 1 and seeds > 1 else (1,)
    peers = [
        *tuned("numpy rewritten", rewritten_block, data, seeds, (1, 2, 4, 8, 16, 32), two),
        *tuned("numpy full", full_block, data, few, (1, 2, 4, 8), two),
        plain_jax(data, few),
        numpy_loop(data, 1),
    ]
    given = [affordable(peer, steps) for peer in peers]
    truth = weight_normalisation(rows, columns, seeds, steps, False, sorted({0, steps, *given})).run()

    def at(step: int, count: int) -> np.ndarray:
        index = int(np.flatnonzero(truth["clock"].values.ravel() == step)[0])
        return truth["norm"].isel(record=index).transpose("seed", "scale").values[:count]

    fixed = weight_normalisation(rows, columns, seeds, steps, False, [0, steps])
    ours = fixed.run()["norm"].isel(record=-1).transpose("seed", "scale").values
    stopped = weight_normalisation(rows, columns, seeds, 200_000, True, [0, 200_000])
    ended = stopped.run().transpose("seed", "scale", ...).isel(seed=slice(0, min(seeds, 4)))
    job = f"{options.runs} x {steps}"
    table = [Row(f"framework, {len(devices)} devices", framework(fixed, devices), job, np.abs(ours - at(steps, seeds)).max())]
    if len(devices) > 1:
        table.append(table[0]._replace(name="framework, 1 device", turn=framework(fixed, devices[:1])))
    error = stop_error(data, ended["norm"].isel(record=-1).values, ended["steps"].values)
    words = f"framework, loss < {STOP_BELOW:g}, per useful run-step"
    table.append(Row(words, framework(stopped, devices), f"{options.runs} to stop", error))
    for peer, step in zip(peers, given):
        error = np.abs(peer.run(step) - at(step, peer.seeds)).max()
        scale = 1e9 / (peer.seeds * len(SCALES) * step)
        turn = functools.partial(lambda p, k, c: c * seconds(p.run, k), peer, step, scale)
        table.append(Row(peer.name, turn, f"{peer.seeds * len(SCALES)} x {step}", error))
    for row in table:
        if not row.error < AGREE:
            raise SystemExit(f"error: {row.name} does not agree with the framework: |x| differs by {row.error:.1e}")
    if options.profile:
        profile(fixed, devices)
    return table


def machine(devices: int) -> str:
    names = [line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "jaxlib", "numpy", "scipy"))
    cores = f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {devices} JAX devices"
    return f"{cores}; Python {platform.python_version()}, {versions}; float64"


def report(size: tuple[int, int], table: list[Row], times: np.ndarray, markdown: bool) -> str:
    """`times` [rounds, rows]; a ratio is the median of the ratios within a round."""
    head = ["what", "ns a run-step", "min - max", "times slower", "runs x steps timed", "error of |x|"]
    cells = [
        [
            row.name, f"{np.median(t):.1f}", f"{t.min():.1f} - {t.max():.1f}",
            f"{np.median(t / times[:, 0]):.2f}", row.job, f"{row.error:.0e}",
        ]
        for row, t in zip(table, times.T)
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(head, *cells)]
    edge, gap = ("| ", " | ") if markdown else ("", "  ")
    lines = [[h.ljust(w) for h, w in zip(head, widths)], ["-" * w for w in widths]]
    lines += [[c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))] for row in cells]
    title = f"{size[0]} x {size[1]}, {len(times)} rounds"
    return "\n".join([title, "", *(f"{edge}{gap.join(line)}{edge[::-1]}".rstrip() for line in lines), ""])


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(2, f"error: {message}\n")


def arguments() -> argparse.Namespace:
    def count(text: str) -> int:
        if not text.isdigit() or int(text) < 1:
            raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
        return int(text)

    def sizes(text: str) -> list[tuple[int, int]]:
        try:
            pairs = [tuple(map(int, part.split("x"))) for part in text.split(",")]
            if all(1 <= rows < columns for rows, columns in pairs):
                return pairs
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"must be rows x columns with fewer rows, as in 20x100,100x2000; got {text!r}")

    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["wn"], help="weight normalisation")
    parser.add_argument("--rounds", type=count, default=5)
    parser.add_argument("--runs", type=count, default=4096, help="a multiple of 64, the number of scales (default: 4096)")
    parser.add_argument("--steps", type=count, default=2000, help="of each run (default: 2000)")
    parser.add_argument("--sizes", type=sizes, default=[(20, 100)], help="as in 20x100,100x2000 (default: 20x100)")
    parser.add_argument("--devices", type=count, default=min(2, os.cpu_count()), help="JAX devices on the CPU")
    parser.add_argument("--markdown", action="store_true", help="print tables to paste into a document")
    parser.add_argument("--profile", action="store_true", help="print where the framework's time goes, too")
    options = parser.parse_args()
    if options.runs % len(SCALES):
        parser.error(f"argument --runs: must be a multiple of {len(SCALES)}, got {options.runs}")
    return options


def main() -> None:
    options = arguments()
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_num_cpu_devices", options.devices)
    devices = jax.local_devices()
    print(machine(len(devices)) + "\n")
    for size in options.sizes:
        table = rows_of(size, options, devices)
        times = np.array([[row.turn() for row in table] for _ in range(options.rounds)])
        print(report(size, table, times, options.markdown), flush=True)


if __name__ == "__main__":
    main()
