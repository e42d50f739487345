"""Diagonal networks and matrix sensing, fixed steps: jobs `diagonal`, `wn-diagonal` and `sensing`.

    diagonal      x = u^2 - v^2, d = 1000, n = 50, 512 runs: 8 seeds x 64 scales
    wn-diagonal   the same with (u, v) weight-normalised together
    sensing       Z = U U^T, n = 50, r = 10, m = 2500 symmetrised Gaussians, 128 runs: 2 seeds x 64 scales

Runs stay in their own coordinates here, but for the operator of sensing, which the framework rewrites exactly to
n(n+1)/2 = 1275 rows and columns. Peers, in NumPy: one run after another (sensing: `einsum` over the A_i, as papers write
it), and all scales of a seed at once by matrix products, in place, with A shared. The last row is no peer: it is what the
two products of a step take alone (of sensing: of the whole square, of which the framework spares what is zero).
"""

import argparse
import functools
import os
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

import implicit_bias as ib

from .common import Row, framework, in_float32, report, seconds, turns
from .descent import Peer, affordable, tuned

SCALES = np.geomspace(0.5, 4, 64)
ROWS, COLUMNS, STEP, RATIO, TARGET = 50, 1000, 2e-4, 0.5, 3.0
SIZE, WIDTH, RANK, MEASUREMENTS, SENSING_STEP = 50, 10, 5, 2500, 0.1
SEEDS = {"diagonal": 8, "wn-diagonal": 8, "sensing": 2}
AGREE = 1e-8


def study(job: str, records: list[int]) -> ib.Study:
    def cell(*, scale, key):
        if job == "sensing":
            problem = ib.matrix.gaussian(SIZE, RANK, MEASUREMENTS)(key)
            descent = ib.Descent(SENSING_STEP, max_steps=records[-1])
            return ib.Run(problem, ib.Symmetric(0.1 * scale, WIDTH), descent)
        problem = ib.linear.gaussian(ROWS, COLUMNS, target_norm=TARGET)(key)
        inner = ib.Euclidean(scale) if job == "diagonal" else ib.Polar(scale)
        ratio = 1.0 if job == "diagonal" else RATIO
        return ib.Run(problem, ib.Power(inner, 2, signed=True), ib.Descent(STEP, ratio=ratio, max_steps=records[-1]))

    size = ib.relative_error if job == "sensing" else ib.norm(2)
    grids = ib.grid(seed=range(SEEDS[job]), scale=SCALES)
    return ib.Study(cell=cell, grids=grids, observe={"size": size}, records=ib.records_at(records))


def draw(job: str, seeds: int):
    """Per seed: (A, y), and for sensing the first factor and the truth."""

    def one(seed):
        key = jax.random.key(seed)
        if job == "sensing":
            problem = ib.matrix.gaussian(SIZE, RANK, MEASUREMENTS)(key)
            return problem.operator, problem.target, ib.Symmetric(0.1, WIDTH).init(problem, key).u, problem.truth
        problem = ib.linear.gaussian(ROWS, COLUMNS, target_norm=TARGET)(key)
        return problem.operator, problem.target

    return [[np.array(part) for part in jax.jit(one)(seed)] for seed in range(seeds)]


def diagonal_block(drawn, seeds: slice):
    """All scales of some seeds, [d, scales] each, in place."""

    def run(steps: int) -> np.ndarray:
        sizes = []
        for A, y in drawn[seeds]:
            u = np.full((COLUMNS, len(SCALES)), SCALES / np.sqrt(2 * COLUMNS))
            v, x, q = u.copy(), np.empty_like(u), np.empty_like(u)
            r = np.empty((ROWS, len(SCALES)))
            for _ in range(steps):
                np.multiply(u, u, out=x)
                np.multiply(v, v, out=q)
                np.subtract(x, q, out=x)
                np.matmul(A, x, out=r)
                np.subtract(r, y[:, None], out=r)
                np.matmul(A.T, r, out=q)
                np.multiply(q, 2 * STEP, out=q)
                np.multiply(u, q, out=x)
                np.subtract(u, x, out=u)
                np.multiply(v, q, out=x)
                np.add(v, x, out=v)
            sizes.append(np.linalg.norm(u * u - v * v, axis=0))
        return np.array(sizes)

    return run


def polar_block(drawn, seeds: slice):
    """The same with z = (u, v) = g w / |w|."""

    def run(steps: int) -> np.ndarray:
        sizes = []
        for A, y in drawn[seeds]:
            w = np.full((2 * COLUMNS, len(SCALES)), 1 / np.sqrt(2 * COLUMNS))
            g, z, d = SCALES.copy(), np.empty_like(w), np.empty_like(w)
            u, v = z[:COLUMNS], z[COLUMNS:]
            x, q, r = np.empty_like(u), np.empty_like(u), np.empty((ROWS, len(SCALES)))

            def point(w=w, g=g, z=z, u=u, v=v, x=x, q=q):
                n = np.sqrt(np.einsum("ij,ij->j", w, w))
                np.multiply(w, g / n, out=z)
                np.multiply(u, u, out=x)
                np.multiply(v, v, out=q)
                np.subtract(x, q, out=x)
                return n

            for _ in range(steps):
                n = point()
                np.matmul(A, x, out=r)
                np.subtract(r, y[:, None], out=r)
                np.matmul(A.T, r, out=q)
                np.multiply(q, 2, out=q)
                np.multiply(u, q, out=d[:COLUMNS])
                np.multiply(v, q, out=d[COLUMNS:])
                np.negative(d[COLUMNS:], out=d[COLUMNS:])
                along = np.einsum("ij,ij->j", d, w) / n
                turn = STEP * g / n
                g -= STEP * RATIO * along
                np.multiply(d, turn, out=d)
                np.multiply(w, 1 + turn * along / n, out=w)
                np.subtract(w, d, out=w)
            point()
            sizes.append(np.linalg.norm(x, axis=0))
        return np.array(sizes)

    return run


def sensing_block(drawn, seeds: slice):
    """All scales of some seeds: U [scales, n, r], A(U U^T) by one product with the flat operator."""

    def run(steps: int) -> np.ndarray:
        errors = []
        for A, y, u0, truth in drawn[seeds]:
            U = SCALES[:, None, None] * u0
            for _ in range(steps):
                z = (U @ U.transpose(0, 2, 1)).reshape(len(SCALES), -1)
                back = ((z @ A.T - y) @ A).reshape(-1, SIZE, SIZE)
                U -= SENSING_STEP * (back @ U)
            gap = U @ U.transpose(0, 2, 1) - truth
            errors.append(np.linalg.norm(gap, axis=(1, 2)) / np.linalg.norm(truth))
        return np.array(errors)

    return run


def loop(job: str, drawn) -> Peer:
    def diagonal(A, y, scale, steps):
        u = np.full(COLUMNS, scale / np.sqrt(2 * COLUMNS))
        v = u.copy()
        for _ in range(steps):
            q = 2 * STEP * (A.T @ (A @ (u * u - v * v) - y))
            u, v = u - u * q, v + v * q
        return np.linalg.norm(u * u - v * v)

    def polar(A, y, scale, steps):
        g, w = scale, np.full(2 * COLUMNS, 1 / np.sqrt(2 * COLUMNS))
        for _ in range(steps):
            n = np.sqrt(w @ w)
            z = g / n * w
            q = 2 * (A.T @ (A @ (z[:COLUMNS] ** 2 - z[COLUMNS:] ** 2) - y))
            d = np.concatenate([z[:COLUMNS] * q, -z[COLUMNS:] * q])
            along = d @ w / n
            g, w = g - STEP * RATIO * along, w - STEP * g / n * (d - along / n * w)
        z = g / np.sqrt(w @ w) * w
        return np.linalg.norm(z[:COLUMNS] ** 2 - z[COLUMNS:] ** 2)

    def sensing(A, y, u0, truth, scale, steps):
        A, U = A.reshape(-1, SIZE, SIZE), scale * u0
        for _ in range(steps):
            r = np.einsum("kij,ij->k", A, U @ U.T) - y
            U = U - SENSING_STEP * np.einsum("k,kij->ij", r, A) @ U
        return np.linalg.norm(U @ U.T - truth) / np.linalg.norm(truth)

    one = {"diagonal": diagonal, "wn-diagonal": polar, "sensing": sensing}[job]
    few = SCALES if job != "sensing" else SCALES[:4]
    name = "numpy loop over runs" if job != "sensing" else "numpy einsum loop over runs"
    return Peer(name, 1, lambda steps: np.array([[one(*drawn[0], s, steps) for s in few]]))


def products(job: str) -> Row:
    """What the products of a step take alone: each thread multiplies matrices of the framework's shapes into its own memory."""
    rows, columns = (ROWS, COLUMNS) if job != "sensing" else (SIZE * (SIZE + 1) // 2,) * 2
    A, threads, count = np.ones((rows, columns)), len(os.sched_getaffinity(0)), 400 if job != "sensing" else 8
    own = [tuple(np.ones((n, len(SCALES))) for n in (columns, rows, columns)) for _ in range(threads)]

    def one(thread: int) -> None:
        x, r, back = own[thread]
        for _ in range(count):
            np.matmul(A, x, out=r)
            np.matmul(A.T, r, out=back)

    with_threads = ThreadPoolExecutor(threads).map

    def turn() -> float:
        return 1e9 * seconds(lambda: list(with_threads(one, range(threads)))) / (threads * count * len(SCALES))

    return Row(f"the two products alone, numpy, {threads} threads", turn, f"{rows} x {columns}", 0.0)


BLOCKS = {"diagonal": diagonal_block, "wn-diagonal": polar_block, "sensing": sensing_block}
TITLES = {
    "diagonal": f"Diagonal network u^2 - v^2, d = {COLUMNS}, n = {ROWS}",
    "wn-diagonal": f"Weight-normalised diagonal network, d = {COLUMNS}, n = {ROWS}",
    "sensing": f"Symmetric sensing, n = {SIZE}, r = {WIDTH}, m = {MEASUREMENTS}",
}


def job(options: argparse.Namespace) -> None:
    name, steps = options.job, options.steps
    seeds = SEEDS[name]
    drawn = draw(name, seeds)
    peers = [*tuned("numpy batched", BLOCKS[name], drawn, seeds, 1), loop(name, drawn)]
    given = [affordable(peer, steps) for peer in peers]
    truth = study(name, sorted({0, steps, *given})).run()
    rows = [
        Row("framework", framework(study(name, [0, steps]), jax.local_devices()[:1]), f"{seeds * len(SCALES)} x {steps}", 0.0)
    ]  # fmt: skip

    def beside_numpy(found) -> tuple[str, float]:
        other = [[np.asarray(part, float) for part in one] for one in draw(name, 1)]
        last = found["size"].isel(seed=[0], record=-1).transpose("seed", "scale").values
        error = np.abs(last - BLOCKS[name](other, slice(1))(steps)).max()
        return f"{seeds * len(SCALES)} x {steps}", float(error)

    rows.append(in_float32(study(name, [0, steps]), jax.local_devices()[:1], beside_numpy))
    for peer, step in zip(peers, given):
        theirs = peer.run(step)
        place = int(np.flatnonzero(truth["clock"].values.ravel() == step)[0])
        ours = truth["size"].isel(record=place).transpose("seed", "scale").values
        error = np.abs(theirs - ours[: theirs.shape[0], : theirs.shape[1]]).max()
        if not error < AGREE:
            raise SystemExit(f"error: {peer.name} does not agree with the framework: {error:.1e} apart")
        turn = functools.partial(lambda p, k, c: 1e9 * seconds(p.run, k) / (c * k), peer, step, theirs.size)
        rows.append(Row(peer.name, turn, f"{theirs.size} x {step}", error))
    rows.append(products(name))
    print(report(TITLES[name], rows, turns(rows, options.rounds), options.markdown), flush=True)
