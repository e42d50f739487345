"""Many runs at once on a GPU: 2^20 runs of weight normalisation, 2^20 points of its flow.

The sweep is the framework's, from draws to verified tiles. Peers get their draws for nothing: plain JAX in the framework's
own coordinates, all runs in one loop, and the same step as a Triton kernel (Pallas), a lane's run in registers from its
first step to its last: what a kernel written for this one method takes. Each must end at the framework's |x|.
Beside them: how fast this device copies, and the bytes that a step of state must move where it lives in memory.
"""

import argparse
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from . import flow
from .common import Row, framework, report, seconds, turns
from .descent import RATIO, SCALES, STEP, draw, lanes_last, weight_normalisation

ROWS, COLUMNS, PADDED, LANES = 20, 100, 32, 32
AGREE = {"float64": 1e-8, "float32": 1e-2}
"""Of |x|: float32 rounds each of 10^4 steps to 6e-8."""


def step(square, pull, state):
    w, t, g = state
    n2 = (w * w).sum(0) + t * t
    n = jnp.sqrt(n2)
    k = g / n
    q = square * (w * k) - pull
    along = (w * q).sum(0)
    e = STEP * k
    h = 1 + e * along / n2
    return h * w - e * q, h * t, g - STEP * RATIO * along / n


def plain(square, pull, w, t, g, steps):
    return jax.lax.fori_loop(0, steps, lambda _, state: step(square, pull, state), (w, t, g))[2]


def kernel(square, pull, w, t, g, steps):
    """Rows padded to a power of two: zeros stay zeros."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    def body(square, pull, w, t, g, steps, out):
        state = w[...], t[...], g[...]
        s, p = square[...], pull[...]
        out[...] = jax.lax.fori_loop(0, steps[0], lambda _, state: step(s, p, state), state)[2]

    rows = pl.BlockSpec((PADDED, LANES), lambda i: (0, i))
    row, one = pl.BlockSpec((LANES,), lambda i: (i,)), pl.BlockSpec((1,), lambda i: (0,))
    call = pl.pallas_call(
        body, grid=(g.size // LANES,), in_specs=[rows, rows, rows, row, row, one], out_specs=row,
        out_shape=jax.ShapeDtypeStruct(g.shape, g.dtype), compiler_params=triton.CompilerParams(num_warps=1, num_stages=1),
    )  # fmt: skip
    square, pull, w = (jnp.pad(x, ((0, PADDED - x.shape[0]), (0, 0))) for x in (square, pull, w))
    return call(square, pull, w, t, g, jnp.full((1,), steps, jnp.int32))


def copies() -> float:
    """Bytes a second, read and written."""
    x = jnp.zeros(2**28, jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    jax.block_until_ready(copy(x))
    return 2 * x.nbytes / min(seconds(lambda: jax.block_until_ready(copy(x))) for _ in range(5))


def sweep(runs: int, steps: int, rounds: int, markdown: bool) -> None:
    seeds, rows = runs // len(SCALES), []
    for precision in ("float64", "float32"):
        study = dataclasses.replace(weight_normalisation((ROWS, COLUMNS), seeds, [0, steps]), precision=precision)
        norm = study.run()["norm"].isel(record=-1).transpose("seed", "scale").values.ravel()
        with study.in_precision():  # other draws, too
            data = draw((ROWS, COLUMNS), seeds)
        fields = data.singular**2, data.singular * data.target, data.row, data.perp
        lanes = [*map(lanes_last, fields), np.tile(SCALES, seeds)]

        def of(function, dtype, lanes=lanes):
            with jax.enable_x64(dtype == "float64"):
                run, given = jax.jit(function), jax.device_put([np.asarray(x, dtype) for x in lanes])

            def once() -> np.ndarray:
                with jax.enable_x64(dtype == "float64"):
                    return np.abs(np.asarray(run(*given, steps)))

            return once

        exact = of(plain, "float64")()
        turn, name = framework(study, jax.local_devices()[:1]), f"framework, {precision}"
        rows.append(Row(name, turn, f"{runs} x {steps}", float(np.abs(norm - exact).max())))
        for word, function in (("plain jax, all runs in one loop", plain), ("a kernel by hand", kernel)):
            once = of(function, precision)
            turn = functools.partial(lambda once: 1e9 * seconds(once) / (runs * steps), once)
            rows.append(Row(f"{word}, {precision}", turn, f"{runs} x {steps}", float(np.abs(once() - exact).max())))
        for row in rows:
            if not row.error < AGREE[row.name.split()[-1]]:
                raise SystemExit(f"error: {row.name} does not agree: |x| differs by {row.error:.1e}")
    print(report(f"Weight normalisation, {ROWS} x {COLUMNS}", rows, turns(rows, rounds), markdown), flush=True)
    moved = 2 * (ROWS + 2) * 8
    print(f"this device copies {copies() / 1e12:.2f} TB/s; a step that reads and writes its state moves {moved} bytes a run\n")


def of_flow(points: int, markdown: bool) -> None:
    study = flow.study(points // len(flow.SCALES))
    row = Row("framework", framework(study, jax.local_devices()[:1], unit=1e3, over=points), f"{points} points", 0.0)
    print(report("The WN flow, 8 x 20, to loss < 1e-10", [row], turns([row], 1), markdown, "ms a point"), flush=True)


def job(options: argparse.Namespace) -> None:
    if jax.default_backend() == "cpu":
        raise SystemExit("error: job accelerator: jax sees no GPU here, or --gpu was left out")
    sweep(options.runs, options.steps, options.rounds, options.markdown)
    of_flow(options.runs, options.markdown)
