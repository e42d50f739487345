r"""Weight normalisation, fixed steps and until a loss.

The job is weight-normalised least squares in float64, 64 scales for each seed. The framework's rows are a whole sweep
into an empty folder: draws, one SVD a seed, steps, records, verified tiles on disk; compiled before. Its first row is
the path that `run` takes: one CPU device, which several blocks at a time keep on every core. A peer gets its draws and
SVDs for nothing, and is timed for its steps alone:

    numpy rewritten     the framework's own rewriting (m + 1 coordinates), [m, lanes] in blocks that fit the cache, in
                        place; it separates the algebra from the engine
    numpy full          A w by matmul, in blocks of seeds whose scales share A, in place
    plain jax           jit of nested vmaps around a fori_loop, A shared over scales
    numpy loop          one run after another
    C, numba            the framework's rewriting in machine code, by hand (`native`); where there is a compiler, and Numba
    pytorch             `weight_norm` and SGD, one run after another, and all runs of some seeds as one; where it is installed

Every peer must first reproduce the framework's |x| after the steps it is given. The slow ones are given fewer steps or
runs: any step of any run costs the same, so the time of one step of one run can be compared.
"""

import argparse
import functools
import tempfile
import threading
import time
from collections import Counter, namedtuple
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import implicit_bias as ib
from implicit_bias.sweep.program.engine import Program
from implicit_bias.sweep.work.execute import execute, workers_of
from implicit_bias.sweep.keep.store import Store

from . import native
from .common import Row, framework, in_float32, report, seconds, turns

STEP, RATIO, STOP_BELOW, G_STAR = 5e-3, 1.0, 1e-5, 3.0
SCALES = np.geomspace(1e-2, 4, 64)
AGREE, IN_FLOAT32 = 1e-8, 1e-3  # they differ by rounding, which steps that contract do not amplify
TURN = 0.4  # seconds that one turn of a peer should take


Data = namedtuple("Data", "A y w singular target row perp")  # [seeds, ...]: the draws; the same in singular coordinates


class Peer(NamedTuple):
    name: str
    seeds: int  # the first so many, 64 scales each
    run: Callable[[int], np.ndarray]  # steps -> |x|, [seeds, scales]


def weight_normalisation(size: tuple[int, int], seeds: int, records: list[int], stop: bool = False) -> ib.Study:
    def cell(*, scale, key):
        problem = ib.linear.gaussian(*size, target_norm=G_STAR)(key)
        rule = ib.loss_below(STOP_BELOW) if stop else None
        return ib.Run(problem, ib.Polar(scale), ib.Descent(STEP, ratio=RATIO, stop=rule, max_steps=records[-1]))

    grids = ib.grid(seed=range(seeds), scale=SCALES)
    return ib.Study(cell=cell, grids=grids, observe={"norm": ib.norm(2)}, records=ib.records_at(records))


class Timed:
    """A compiled function that waits for its result and adds up the time."""

    spent: Counter[str] = Counter()
    lock = threading.Lock()

    def __init__(self, name: str, function: Callable):
        self.name, self.function = name, function

    def __getattr__(self, name: str):
        return getattr(self.function, name)

    def __call__(self, *arguments):
        begun = time.perf_counter()
        result = jax.block_until_ready(self.function(*arguments))
        with Timed.lock:
            Timed.spent[self.name] += time.perf_counter() - begun
        return result


def profile(study: ib.Study, devices: list) -> None:
    """Where one sweep's time goes. Each part is waited for, which the real path does not do."""
    begun = time.perf_counter()
    plan = study.plan()
    planned = time.perf_counter()
    for program in {batch.program for batch in plan.batches}:
        program.compile(devices)
        program.compiled("first", devices[0])
    print(f"plan (trace, lower, requirements) {planned - begun:.3f} s, compile {time.perf_counter() - planned:.3f} s")
    compiled, Timed.spent = Program.compiled, Counter()
    Program.compiled = lambda self, name, device: Timed(name, compiled(self, name, device))
    try:
        with tempfile.TemporaryDirectory() as folder:
            store = Store(folder)
            store.prepare()
            store.write = Timed("write tiles", store.write)
            wall = seconds(functools.partial(execute, plan, store, devices=devices))
    finally:
        Program.compiled = compiled
    spent = Timed.spent
    workers = sum(workers_of(device, devices) for device in devices)
    spent["other host work, and waiting"] = workers * wall - sum(spent.values())
    print(f"execute {wall:.3f} s by {workers} workers; seconds summed over them:")
    print("".join(f"    {name:30s}{value:8.3f} s\n" for name, value in spent.items()))


def draw(size: tuple[int, int], seeds: int) -> Data:
    def one(seed):
        problem = ib.linear.gaussian(*size, target_norm=G_STAR)(jax.random.key(seed))
        return problem.operator, problem.target, ib.Polar(1.0).init(problem, jax.random.key(seed)).w

    A, y, w = (np.array(part, float) for part in jax.jit(jax.vmap(one))(jnp.arange(seeds)))
    U, singular, Vt = np.linalg.svd(A, full_matrices=False)
    row = np.einsum("sid,sd->si", Vt, w)
    perp = np.linalg.norm(w - np.einsum("sid,si->sd", Vt, row), axis=1)
    return Data(A, y, w, singular, np.einsum("sri,sr->si", U, y), row, perp)


def lanes_last(per_seed: np.ndarray) -> np.ndarray:
    """[seeds, ...] -> [..., seeds x scales]"""
    return np.ascontiguousarray(np.repeat(per_seed, len(SCALES), axis=0).T)


def rewritten_block(data: Data, seeds: slice, watch: Callable = None) -> Callable[[int], np.ndarray]:
    """Some seeds in singular coordinates. x = (g/n) w, n = |w|; the orthogonal part of w is the plain number t."""
    data = Data(*(field[seeds] for field in data))
    square, pull = lanes_last(data.singular**2), lanes_last(data.singular * data.target)

    def run(steps: int) -> np.ndarray:
        w, t, g = lanes_last(data.row), lanes_last(data.perp), np.tile(SCALES, len(data.perp))
        q, (n, n2, k, wq, h) = np.empty_like(w), np.empty((5, g.size))
        for i in range(steps):
            np.einsum("ij,ij->j", w, w, out=n2)  # n^2 = |w|^2, k = g / n
            np.multiply(t, t, out=h)
            np.add(n2, h, out=n2)
            np.sqrt(n2, out=n)
            np.divide(g, n, out=k)
            if watch is not None:
                watch(i, k * w, g)
            np.multiply(square, w, out=q)  # q = grad_x = s (s x - b)
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
        return np.abs(g).reshape(-1, len(SCALES))

    return run


def full_block(data: Data, seeds: slice) -> Callable[[int], np.ndarray]:
    """Some seeds in the original coordinates, [seeds, d, scales]."""
    A, y = data.A[seeds], data.y[seeds][:, :, None]
    transposed = np.ascontiguousarray(A.transpose(0, 2, 1))

    def run(steps: int) -> np.ndarray:
        w = np.repeat(data.w[seeds][:, :, None], len(SCALES), axis=2)
        g = np.tile(SCALES, (len(A), 1, 1))  # [seeds, 1, scales]
        q, r, (n2, wq) = np.empty_like(w), np.empty_like(A, shape=(*y.shape[:2], len(SCALES))), np.empty((2, *g.shape))
        for _ in range(steps):
            np.einsum("sdl,sdl->sl", w, w, out=n2[:, 0])
            n = np.sqrt(n2)
            k = g / n
            np.matmul(A, w, out=r)  # q = A^T (A x - y)
            np.multiply(r, k, out=r)
            np.subtract(r, y, out=r)
            np.matmul(transposed, r, out=q)
            np.einsum("sdl,sdl->sl", w, q, out=wq[:, 0])
            g -= STEP * RATIO * wq / n
            k *= STEP
            np.multiply(q, k, out=q)
            np.multiply(w, 1 + k * wq / n2, out=w)
            np.subtract(w, q, out=w)
        return np.abs(g[:, 0])

    return run


def tuned(name: str, make: Callable, data: Data, seeds: int, most: int) -> list[Peer]:
    """A peer on 1 and 2 threads (NumPy releases the lock), in blocks of as many seeds as are fastest."""
    peers = []
    for threads in (1, 2):
        each = ThreadPoolExecutor(threads).map if threads > 1 else map

        def blocks(size: int) -> Callable[[int], np.ndarray]:
            runs = [make(data, slice(i, min(i + size, seeds))) for i in range(0, seeds, size)]
            return lambda steps, each=each: np.concatenate(list(each(lambda run: run(steps), runs)))

        choices = {2**i: blocks(2**i) for i in range(6) if 2**i <= most and 2**i * threads <= max(seeds, threads)}
        best = min(choices, key=lambda size: min(seconds(choices[size], 20) for _ in range(3)))
        peers.append(Peer(f"{name}, {threads} thread{'s' * (threads > 1)}, blocks of {best}", seeds, choices[best]))
    return peers


def vmapped(one, data: Data, seeds: int) -> Peer:
    """one(A, y, w, g, steps), over seeds and, within a seed, over scales."""
    over_scales = jax.vmap(one, in_axes=(None, None, None, 0, None))
    sweep = jax.jit(jax.vmap(over_scales, in_axes=(0, 0, 0, None, None)))
    arrays = jax.device_put((data.A[:seeds], data.y[:seeds], data.w[:seeds], SCALES))
    return Peer("plain jax, nested vmap", seeds, lambda steps: np.asarray(sweep(*arrays, steps)))


def plain_jax(data: Data, seeds: int) -> Peer:
    def one(A, y, w, g, steps):
        def step(_, theta):
            g, w = theta
            n = jnp.linalg.norm(w)
            u = w / n
            q = A.T @ (A @ (g * u) - y)
            return g - STEP * RATIO * (u @ q), w - STEP * (g / n) * (q - (u @ q) * u)

        return jnp.abs(jax.lax.fori_loop(0, steps, step, (g, w))[0])

    return vmapped(one, data, seeds)


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


def machine_code(data: Data) -> list[Peer]:
    made = (native.in_c(data, SCALES, STEP, RATIO), native.in_numba(data, SCALES, STEP, RATIO))
    return [Peer(name, len(data.perp), run) for peers in made for name, run in peers.items()]


def pytorch(data: Data) -> Peer:
    """A linear layer under `weight_norm`, one run after another."""
    import torch
    from torch.nn.utils.parametrizations import weight_norm

    A, y, w = (torch.as_tensor(part) for part in (data.A[0], data.y[0], data.w[0]))

    def one(scale: float, steps: int) -> float:
        layer = weight_norm(torch.nn.Linear(w.numel(), 1, bias=False, dtype=torch.float64))
        g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
        with torch.no_grad():
            g.fill_(scale)
            v.copy_(w[None])
        rule = torch.optim.SGD([{"params": [g], "lr": STEP * RATIO}, {"params": [v], "lr": STEP}])
        for _ in range(steps):
            rule.zero_grad()
            residual = layer(A)[:, 0] - y
            (0.5 * (residual @ residual)).backward()
            rule.step()
        return abs(g.item())

    return Peer("pytorch, weight_norm and SGD", 1, lambda steps: np.array([[one(g, steps) for g in SCALES]]))


def batched_pytorch(data: Data, seeds: int) -> Peer:
    """All runs of some seeds as one module: a product with A for each seed, autograd, a step by hand; all threads."""
    import torch

    A, y, w = (torch.as_tensor(part[:seeds]) for part in (data.A, data.y, data.w))
    scales = torch.as_tensor(SCALES)

    def run(steps: int) -> np.ndarray:
        v = w[:, :, None].repeat(1, 1, len(scales)).requires_grad_()
        g = scales.repeat(seeds, 1)[:, None, :].requires_grad_()
        for _ in range(steps):
            residual = A @ (g * v / v.norm(dim=1, keepdim=True)) - y[:, :, None]
            of_g, of_v = torch.autograd.grad(0.5 * (residual * residual).sum(), (g, v))
            with torch.no_grad():
                g -= STEP * RATIO * of_g
                v -= STEP * of_v
        return g.detach().abs()[:, 0].numpy()

    return Peer(f"pytorch, all runs of {seeds} seeds as one", seeds, run)


def optional_peers(data: Data, few: int) -> list[Peer]:
    try:
        return [pytorch(data), batched_pytorch(data, few)]
    except ImportError:
        print("PyTorch is not installed: its row is left out\n")
        return []


def affordable(peer: Peer, most: int) -> int:
    """So many steps that a turn takes about TURN seconds."""
    peer.run(1)  # compiled, where it compiles
    few = min(10, most)
    return int(np.clip(few * TURN / seconds(peer.run, few), few, most))


def stop_error(data: Data, norm: np.ndarray, steps: np.ndarray) -> float:
    """The error in x of stopped runs, [seeds, scales]; infinite if one stopped at another step than in NumPy."""
    first, size = np.full(norm.size, -1), np.zeros(norm.size)
    singular, target = lanes_last(data.singular[: len(norm)]), lanes_last(data.target[: len(norm)])

    def watch(i, x, g):
        below = (0.5 * ((singular * x - target) ** 2).sum(0) < STOP_BELOW) & (first < 0)
        first[below], size[below] = i, np.abs(g[below])

    rewritten_block(data, slice(len(norm)), watch)(int(steps.max()) + 1)
    return float(np.abs(size - norm.ravel()).max()) if (first == steps.ravel()).all() else np.inf


def beside(block: Callable, size: tuple[int, int], options: argparse.Namespace) -> Callable[[xr.Dataset], tuple[str, float]]:
    """The job of a sweep of fixed steps, and how far its first seeds are from NumPy's, in float64 from the same data."""

    def seen(found: xr.Dataset) -> tuple[str, float]:
        norm = found["norm"].isel(record=-1).transpose("seed", "scale").values[:4]
        error = np.abs(norm - block(draw(size, 4), slice(4))(options.steps)[: len(norm)]).max()
        return f"{options.runs} x {options.steps}", float(error)

    return seen


def verified(size: tuple[int, int], options: argparse.Namespace, devices: list) -> list[Row]:
    """Everything that is timed for one size."""
    seeds, steps = options.runs // len(SCALES), options.steps
    data, few = draw(size, seeds), min(seeds, seeds if np.prod(size) <= 5000 else 4)
    peers = [
        *tuned("numpy rewritten", rewritten_block, data, seeds, 32),
        *tuned("numpy full", full_block, data, few, 8),
        plain_jax(data, few),
        numpy_loop(data, 1),
        *machine_code(data),
        *optional_peers(data, few),
    ]
    given = [affordable(peer, steps) for peer in peers]
    truth = weight_normalisation(size, seeds, sorted({0, steps, *given})).run()
    fixed, stopped = weight_normalisation(size, seeds, [0, steps]), weight_normalisation(size, seeds, [0, 10**6], True)

    def norm(results, step: float, count: int) -> np.ndarray:
        place = int(np.flatnonzero(results["clock"].values.ravel() == step)[0])
        return results["norm"].isel(record=place).transpose("seed", "scale").values[:count]

    error = np.abs(norm(fixed.run(), steps, seeds) - norm(truth, steps, seeds)).max()
    rows = [Row("framework", framework(fixed, devices[:1]), f"{options.runs} x {steps}", error)]
    if len(devices) > 1:
        rows.append(rows[0]._replace(name=f"framework, as {len(devices)} devices", turn=framework(fixed, devices)))
    rows.append(in_float32(fixed, devices[:1], beside(rewritten_block, size, options)))
    ended = stopped.run()
    some = ended["steps"].transpose("seed", "scale").values[:4]
    error, words = stop_error(data, norm(ended, 10**6, 4), some), f"framework, useful steps to loss < {STOP_BELOW:g}"
    rows.append(Row(words, framework(stopped, devices[:1]), f"{options.runs} x {ended['steps'].mean():.0f}", error))
    for peer, step in zip(peers, given):
        error = np.abs(peer.run(step) - norm(truth, step, peer.seeds)).max()
        count = peer.seeds * len(SCALES)
        turn = functools.partial(lambda p, k, c: 1e9 * seconds(p.run, k) / (c * k), peer, step, count)
        rows.append(Row(peer.name, turn, f"{count} x {step}", error))
    for row in rows:
        if not row.error < (IN_FLOAT32 if row.name.endswith("float32") else AGREE):
            raise SystemExit(f"error: {row.name} does not agree with the framework: |x| differs by {row.error:.1e}")
    return rows


def job(options: argparse.Namespace) -> None:
    devices = jax.local_devices()
    for size in options.sizes:
        rows = verified(size, options, devices)
        times = turns(rows, options.rounds)
        print(report(f"Least squares, {size[0]} x {size[1]}", rows, times, options.markdown), flush=True)
        if options.profile:
            seeds = options.runs // len(SCALES)
            profile(weight_normalisation(size, seeds, [0, options.steps]), devices[:1])
