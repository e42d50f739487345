"""Weight normalisation until loss < 1e-5, runs from tens to 10^5 steps: nanoseconds per *useful* step.

The grid is 8 seeds x 8 ratios x 64 scales; a block holds one seed and one ratio. A step counts as useful until the run's
own stop. Peers: one run after another in NumPy, and one batched while loop (JAX, A shared) over all runs of one seed,
which goes on until the slowest of them has stopped. Both must stop at the framework's steps.
"""

import argparse
import functools

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .common import Row, framework, in_float32, report, seconds, turns

STEP, STOP, G_STAR, CAP = 5e-3, 1e-5, 3.0, 1_000_000
RATIOS, SCALES = np.geomspace(3e-3, 3, 8), np.geomspace(0.3, 6, 64)
SEEDS = 8
FEW = 24  # runs of the loop, those of the middle of the range of steps


def study() -> ib.Study:
    def cell(*, ratio, scale, key):
        problem = ib.linear.gaussian(20, 100, target_norm=G_STAR)(key)
        descent = ib.Descent(STEP, ratio=ratio, stop=ib.loss_below(STOP), max_steps=CAP)
        return ib.Run(problem, ib.Polar(scale), descent)

    grids = ib.grid(seed=range(SEEDS), ratio=RATIOS, scale=SCALES)
    return ib.Study(cell=cell, grids=grids, observe={"norm": ib.norm(2)}, records=ib.records_at([0, CAP]))


def data():
    problem = ib.linear.gaussian(20, 100, target_norm=G_STAR)(jax.random.key(0))
    w = ib.Polar(1.0).init(problem, jax.random.key(0)).w
    return np.array(problem.operator), np.array(problem.target), np.array(w)


def numpy_loop(A, y, w0, points):
    """(|x|, steps) of each point, one after another."""
    found = []
    for ratio, g in points:
        w, steps = w0.copy(), 0
        while True:
            n = np.sqrt(w @ w)
            u = w / n
            r = A @ (g * u) - y
            if 0.5 * (r @ r) < STOP:
                break
            q = A.T @ r
            uq = u @ q
            g, w = g - STEP * ratio * uq, w - STEP * g / n * (q - uq * u)
            steps += 1
        found.append((abs(g), steps))
    return np.array(found).T


def batched(A, y, w):
    def one(ratio, scale):
        def residual(theta):
            g, w = theta
            return A @ (g / jnp.linalg.norm(w) * w) - y

        def going(state):
            theta, _ = state
            r = residual(theta)
            return 0.5 * (r @ r) >= STOP

        def step(state):
            (g, w), count = state
            n = jnp.linalg.norm(w)
            u = w / n
            q = A.T @ residual((g, w))
            return (g - STEP * ratio * (u @ q), w - STEP * (g / n) * (q - (u @ q) * u)), count + 1

        (g, _), count = jax.lax.while_loop(going, step, ((scale, w), 0))
        return jnp.abs(g), count

    return jax.jit(jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None)))


def beside_the_loop(points: np.ndarray, found) -> tuple[str, float]:
    """The job of a sweep, and how far some of its runs are from the loop's, in float64 from the same data."""
    exact = numpy_loop(*(np.array(part, float) for part in data()), points)[0]
    last = found["norm"].isel(seed=0, record=-1)
    error = max(abs(float(last.sel(ratio=r, scale=s, method="nearest")) - x) for (r, s), x in zip(points, exact))
    return f"{found['steps'].size} x {float(found['steps'].mean()):.0f}", error


def job(options: argparse.Namespace) -> None:
    results = study().run()
    steps = results["steps"].transpose("seed", "ratio", "scale").values
    norm = results["norm"].isel(record=-1).transpose("seed", "ratio", "scale").values
    slowest = steps.max(-1).mean() / steps.mean()
    print(
        f"runs of {steps.min():,} to {steps.max():,} steps, mean {steps.mean():,.0f}; slowest of a block over its mean {slowest:.2f}\n"
    )
    A, y, w = data()
    points = np.array([(r, s) for r in RATIOS for s in SCALES])
    order = np.argsort(steps[0].ravel())
    some = order[len(order) // 4 : 3 * len(order) // 4 : len(order) // 2 // FEW]
    loop_norm, loop_steps = numpy_loop(A, y, w, points[some])
    all_at_once = batched(*map(jnp.asarray, (A, y, w)))
    batch_norm, batch_steps = map(np.asarray, all_at_once(jnp.asarray(RATIOS), jnp.asarray(SCALES)))
    for name, theirs, ours in (
        ("numpy loop", loop_steps, steps[0].ravel()[some]),
        ("one while loop", batch_steps, steps[0]),
    ):
        if np.abs(theirs - ours).max() > 1:
            raise SystemExit(f"error: {name} stops at other steps: {np.abs(theirs - ours).max():.0f} apart")
        print(
            f"{name}: {int((theirs != ours).sum())} of {theirs.size} runs stop one step apart, the others at the same step"
        )
    print()

    def turn(run, useful):
        return lambda: 1e9 * seconds(run) / useful

    rows = [
        Row("framework", framework(study(), jax.local_devices()[:1]), f"{steps.size} x {steps.mean():.0f}", 0.0),
        in_float32(study(), jax.local_devices()[:1], functools.partial(beside_the_loop, points[some])),
        Row(
            "one batched while loop, one seed",
            turn(lambda: jax.block_until_ready(all_at_once(jnp.asarray(RATIOS), jnp.asarray(SCALES))), steps[0].sum()),
            f"{steps[0].size} x {steps[0].mean():.0f}",
            np.abs(batch_norm - norm[0]).max(),
        ),
        Row(
            "numpy loop over runs",
            turn(functools.partial(numpy_loop, A, y, w, points[some]), loop_steps.sum()),
            f"{len(some)} x {loop_steps.mean():.0f}",
            np.abs(loop_norm - norm[0].ravel()[some]).max(),
        ),
    ]
    print(
        report(
            "Until loss < 1e-5, 20 x 100",
            rows,
            turns(rows, min(options.rounds, 3)),
            options.markdown,
            "ns a useful step",
        )
    )
