"""GD and rPGD, fixed steps: the job of `wn` for the other two methods.

The framework takes gradient descent by powers of its step; a row takes every step (`stepped=True`), as those of the peers
but for the closed form do.

Peers: NumPy in the framework's own coordinates, in place (for GD also in closed form, which needs no steps at all); and
in the coordinates of the paper NumPy in blocks of seeds whose scales share A, jit of nested vmaps around a fori_loop
with A shared over scales, and one run after another.
"""

import argparse
import functools

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .common import Row, framework, in_float32, report, seconds, turns
from .descent import AGREE, G_STAR, RATIO, SCALES, STEP, Data, Peer, affordable, beside, draw, lanes_last, tuned, vmapped

WEIGHTS = {"gd": ib.Euclidean, "rpgd": ib.Sphere}


def study(method: str, size: tuple[int, int], seeds: int, records: list[int], stepped: bool = False) -> ib.Study:
    def cell(*, scale, key):
        problem = ib.linear.gaussian(*size, target_norm=G_STAR)(key)
        return ib.Run(problem, WEIGHTS[method](scale), ib.Descent(STEP, ratio=1.0, max_steps=records[-1], stepped=stepped))

    grids = ib.grid(seed=range(seeds), scale=SCALES)
    return ib.Study(cell=cell, grids=grids, observe={"norm": ib.norm(2)}, records=ib.records_at(records))


def of(data: Data, seeds: slice) -> tuple[np.ndarray, ...]:
    """(s^2, s b, row, perp, g), lanes last."""
    data = Data(*(field[seeds] for field in data))
    pull = lanes_last(data.singular * data.target)
    g = np.tile(SCALES, len(data.perp))
    return lanes_last(data.singular**2), pull, lanes_last(data.row), lanes_last(data.perp), g


def gd_block(data: Data, seeds: slice):
    square, pull, row, perp, g = of(data, seeds)

    def run(steps: int) -> np.ndarray:
        x, q = row * g, np.empty_like(row)
        for _ in range(steps):
            np.multiply(square, x, out=q)
            np.subtract(q, pull, out=q)
            np.multiply(q, STEP, out=q)
            np.subtract(x, q, out=x)
        return np.sqrt((x * x).sum(0) + (perp * g) ** 2).reshape(-1, len(SCALES))

    return run


def gd_closed(data: Data, seeds: int):
    square, pull, row, perp, g = of(data, slice(seeds))

    def run(steps: int) -> np.ndarray:
        limit = pull / square
        x = limit + (1 - STEP * square) ** steps * (row * g - limit)
        return np.sqrt((x * x).sum(0) + (perp * g) ** 2).reshape(-1, len(SCALES))

    return run


def rpgd_block(data: Data, seeds: slice):
    square, pull, row, perp, g0 = of(data, seeds)

    def run(steps: int) -> np.ndarray:
        w, t, g = row.copy(), perp.copy(), g0.copy()
        q, (h, n) = np.empty_like(w), np.empty((2, g.size))
        for _ in range(steps):
            np.multiply(square, w, out=q)  # q = grad_x = s (s g w - b)
            np.multiply(q, g, out=q)
            np.subtract(q, pull, out=q)
            np.einsum("ij,ij->j", w, q, out=h)
            np.multiply(g, STEP, out=n)
            np.multiply(q, n, out=q)  # v = w - eta g q
            np.subtract(w, q, out=w)
            np.multiply(h, STEP * RATIO, out=h)
            np.subtract(g, h, out=g)
            np.einsum("ij,ij->j", w, w, out=n)
            np.multiply(t, t, out=h)
            np.add(n, h, out=n)
            np.sqrt(n, out=n)
            np.divide(w, n, out=w)
            np.divide(t, n, out=t)
        return np.abs(g).reshape(-1, len(SCALES))

    return run


BLOCKS = {"gd": gd_block, "rpgd": rpgd_block}


def full_block(method: str, data: Data, seeds: slice):
    """Some seeds in the original coordinates, [seeds, d, scales], in place."""
    A, y = data.A[seeds], data.y[seeds][:, :, None]
    transposed = np.ascontiguousarray(A.transpose(0, 2, 1))

    def run(steps: int) -> np.ndarray:
        w = np.repeat(data.w[seeds][:, :, None], len(SCALES), axis=2)
        g = np.tile(SCALES, (len(A), 1, 1))  # [seeds, 1, scales]
        q, r, h = np.empty_like(w), np.empty((*y.shape[:2], len(SCALES))), np.empty_like(g)
        if method == "gd":
            w *= g
        for _ in range(steps):
            np.matmul(A, w, out=r)
            if method == "rpgd":
                np.multiply(r, g, out=r)
            np.subtract(r, y, out=r)
            np.matmul(transposed, r, out=q)  # q = grad_x
            if method == "gd":
                np.multiply(q, STEP, out=q)
                np.subtract(w, q, out=w)
                continue
            np.einsum("sdl,sdl->sl", w, q, out=h[:, 0])
            np.multiply(q, STEP * g, out=q)
            np.subtract(w, q, out=w)
            g -= STEP * RATIO * h
            np.einsum("sdl,sdl->sl", w, w, out=h[:, 0])
            np.divide(w, np.sqrt(h, out=h), out=w)
        return np.abs(g[:, 0]) if method == "rpgd" else np.sqrt((w * w).sum(1))

    return run


def plain_jax(method: str, data: Data, seeds: int) -> Peer:
    def gradient(A, y, x):
        return A.T @ (A @ x - y)

    def one(A, y, w, g, steps):
        def gd(_, x):
            return x - STEP * gradient(A, y, x)

        def rpgd(_, theta):
            g, w = theta
            q = gradient(A, y, g * w)
            v = w - STEP * g * q
            return g - STEP * RATIO * (w @ q), v / jnp.linalg.norm(v)

        if method == "gd":
            return jnp.linalg.norm(jax.lax.fori_loop(0, steps, gd, g * w))
        return jnp.abs(jax.lax.fori_loop(0, steps, rpgd, (g, w))[0])

    return vmapped(one, data, seeds)


def loop(method: str, data: Data) -> Peer:
    def gd(A, y, w, g, steps):
        x = g * w
        for _ in range(steps):
            x = x - STEP * (A.T @ (A @ x - y))
        return np.sqrt(x @ x)

    def rpgd(A, y, w, g, steps):
        for _ in range(steps):
            q = A.T @ (A @ (g * w) - y)
            v = w - STEP * g * q
            g, w = g - STEP * RATIO * (w @ q), v / np.sqrt(v @ v)
        return abs(g)

    one = {"gd": gd, "rpgd": rpgd}[method]
    return Peer(
        "numpy loop over runs",
        1,
        lambda steps: np.array([[one(data.A[0], data.y[0], data.w[0], g, steps) for g in SCALES]]),
    )


def job(options: argparse.Namespace) -> None:
    method = options.job
    for size in options.sizes:
        seeds, steps = options.runs // len(SCALES), options.steps
        data = draw(size, seeds)
        peers = [
            *tuned("numpy rewritten", BLOCKS[method], data, seeds, 32),
            *tuned("numpy full", functools.partial(full_block, method), data, seeds, 8),
            plain_jax(method, data, seeds),
            loop(method, data),
        ]
        given = [affordable(peer, steps) for peer in peers]
        if method == "gd":
            peers.append(Peer("numpy, closed form", seeds, gd_closed(data, seeds)))
            given.append(steps)
        truth = study(method, size, seeds, sorted({0, steps, *given})).run()
        fixed = study(method, size, seeds, [0, steps])

        def norm(step: int, truth=truth) -> np.ndarray:
            place = int(np.flatnonzero(truth["clock"].values.ravel() == step)[0])
            return truth["norm"].isel(record=place).transpose("seed", "scale").values

        rows = [Row("framework", framework(fixed, jax.local_devices()[:1]), f"{options.runs} x {steps}", 0.0)]
        if method == "gd":
            every = study(method, size, seeds, [0, steps], stepped=True)
            error = np.abs(every.run()["norm"].isel(record=-1).transpose("seed", "scale").values - norm(steps)).max()
            turn = framework(every, jax.local_devices()[:1])
            rows.append(Row("framework, every step", turn, f"{options.runs} x {steps}", error))
        rows.append(in_float32(fixed, jax.local_devices()[:1], beside(BLOCKS[method], size, options)))
        for peer, step in zip(peers, given):
            count = peer.seeds * len(SCALES)
            turn = functools.partial(lambda p, k, c: 1e9 * seconds(p.run, k) / (c * k), peer, step, count)
            error = np.abs(peer.run(step) - norm(step)[: peer.seeds]).max()
            rows.append(Row(peer.name, turn, f"{count} x {step}", error))
            if not error < AGREE:
                raise SystemExit(f"error: {peer.name} does not agree with the framework: |x| differs by {error:.1e}")
        title = f"{method}, least squares, {size[0]} x {size[1]}"
        print(report(title, rows, turns(rows, options.rounds), options.markdown), flush=True)
