"""The WN flow, 1024 points to loss < 1e-10: milliseconds a point.

16 seeds x 64 scales, 8 x 20, c = 1, relative tolerance 1e-9. Peers: SciPy's LSODA, one point after another, with the
same event; diffrax's `diffeqsolve` in the coordinates of the paper, with an event, under one vmap, and in blocks of a seed
on two threads; and, where it is installed, torchdiffeq, one point after another and with all points as one state, which
goes on until the slowest of them fits. Each must end at the framework's |x|, and the framework's invariant must not drift.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib
from implicit_bias.theory import weight_normalisation as theory

from .common import Row, framework, report, seconds, turns

ROWS, COLUMNS, SEEDS, G_STAR, STOP, END, RTOL, ATOL = 8, 20, 16, 2.0, 1e-10, 1e4, 1e-9, 1e-12
SCALES = np.geomspace(0.1, 4, 64)
FEW = 6  # points of the loop


def study(seeds: int = SEEDS) -> ib.Study:
    def cell(*, scale, key):
        problem = ib.linear.gaussian(ROWS, COLUMNS, target_norm=G_STAR)(key)
        flow = ib.Flow(max_time=END, stop=ib.loss_below(STOP), rtol=RTOL, atol=ATOL)
        return ib.Run(problem, ib.Polar(scale), flow)

    return ib.Study(
        cell=cell,
        grids=ib.grid(seed=range(seeds), scale=SCALES),
        observe={"norm": ib.norm(2), "log_invariant": ib.log_invariant},
        records=ib.log_records(2),
    )


def draw(seed):
    problem = ib.linear.gaussian(ROWS, COLUMNS, target_norm=G_STAR)(jax.random.key(seed))
    return problem.operator, problem.target, ib.Polar(1.0).init(problem, jax.random.key(seed)).w


def lsoda(A, y, w, scales):
    from scipy.integrate import solve_ivp

    field = theory.flow(A, y, 1.0)

    def loss(t, state):
        x = state[0] * state[1:] / np.linalg.norm(state[1:])
        return 0.5 * np.sum((A @ x - y) ** 2) - STOP

    loss.terminal = True
    ends = [
        solve_ivp(field, (0, END), np.append(g, w), method="LSODA", rtol=RTOL, atol=ATOL, events=loss) for g in scales
    ]
    return np.array([abs(end.y[0, -1]) for end in ends])


def of_a_point(A, y, w, g):
    """diffrax in the coordinates of the paper, with an event."""

    def residual(state):
        g, w = state
        return A @ (g / jnp.linalg.norm(w) * w) - y

    def field(t, state, args):
        g, w = state
        n = jnp.linalg.norm(w)
        u = w / n
        q = -A.T @ residual(state)
        return u @ q, (g / n) * (q - (u @ q) * u)

    def fitted(t, state, args, **kwargs):
        r = residual(state)
        return 0.5 * (r @ r) - STOP

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field), diffrax.Tsit5(), 0.0, END, None, (g, w), max_steps=100_000,
        stepsize_controller=diffrax.PIDController(rtol=RTOL, atol=ATOL), event=diffrax.Event(fitted),
        adjoint=diffrax.ForwardMode(), throw=False,
    )  # fmt: skip
    return jnp.abs(solution.ys[0][-1])


def vmapped():
    return jax.jit(jax.vmap(jax.vmap(of_a_point, in_axes=(None, None, None, 0)), in_axes=(0, 0, 0, None)))


def with_torchdiffeq(A, y, w, scales):
    """|x| where every point fits, the points as one state: A [points, rows, columns], y, w and scales accordingly."""
    import torch
    from torchdiffeq import odeint_event

    A, y, w, scales = (torch.as_tensor(np.array(part)) for part in (A, y, w, scales))

    def parts(state):
        g, w = state[:, :1], state[:, 1:]
        n = w.norm(dim=1, keepdim=True)
        return g, n, w / n

    def residual(g, u):
        return torch.bmm(A, (g * u)[:, :, None])[:, :, 0] - y

    def field(t, state):
        g, n, u = parts(state)
        q = -torch.bmm(A.transpose(1, 2), residual(g, u)[:, :, None])[:, :, 0]
        along = (u * q).sum(1, keepdim=True)
        return torch.cat([along, (g / n) * (q - along * u)], dim=1)

    def fitted(t, state):
        g, _, u = parts(state)
        return 0.5 * (residual(g, u) ** 2).sum(1).max() - STOP

    start = torch.cat([scales[:, None], w], dim=1)
    with torch.no_grad():
        _, states = odeint_event(
            field, start, torch.tensor(0.0), event_fn=fitted, rtol=RTOL, atol=ATOL, method="dopri5"
        )
    return states[-1, :, 0].abs().numpy()


def torch_rows(drawn, few, norm) -> list[Row]:
    """Rows of torchdiffeq; none where it is not installed."""
    try:
        import torchdiffeq  # noqa: F401
    except ImportError:
        print("torchdiffeq is not installed: its rows are left out\n")
        return []
    lanes = [np.repeat(np.array(part), len(SCALES), axis=0) for part in zip(*drawn)]
    scales = np.tile(SCALES, SEEDS)

    def one_by_one():
        return np.array([with_torchdiffeq(*(part[i : i + 1] for part in lanes), scales[i : i + 1])[0] for i in few])

    def together():
        return with_torchdiffeq(*lanes, scales)

    return [
        Row(
            "torchdiffeq, all as one state",
            lambda: 1e3 * seconds(together) / scales.size,
            f"{scales.size} points",
            np.abs(together() - norm.ravel()).max(),
        ),
        Row(
            "torchdiffeq, one after another",
            lambda: 1e3 * seconds(one_by_one) / len(few),
            f"{len(few)} points",
            np.abs(one_by_one() - norm[0, few]).max(),
        ),
    ]


def job(options: argparse.Namespace) -> None:
    results = study().run()
    norm = results["norm"].isel(record=-1).transpose("seed", "scale").values
    drift = float(abs(results["log_invariant"].isel(record=-1) - results["log_invariant"].isel(record=0)).max())
    print(
        f"drift of the framework's invariant: {drift:.1e}; every point {'fits' if (results.status == ib.Status.CONVERGED).all() else 'DOES NOT FIT'}\n"
    )
    drawn = [draw(seed) for seed in range(SEEDS)]
    arrays = [jnp.stack(part) for part in zip(*drawn)]
    solve = vmapped()
    A, y, w = (np.array(part) for part in drawn[0])
    few = np.linspace(0, len(SCALES) - 1, FEW).astype(int)
    points = SEEDS * len(SCALES)
    framework_turn = framework(study(), jax.local_devices()[:1], unit=1e3, over=points)
    block = jax.jit(jax.vmap(of_a_point, in_axes=(None, None, None, 0)))
    threads = ThreadPoolExecutor(2)

    def by_blocks() -> np.ndarray:
        def one(part):
            with jax.enable_x64(True):
                return np.asarray(block(*part, SCALES))

        return np.stack(list(threads.map(one, drawn)))

    theirs = np.asarray(solve(*arrays, jnp.asarray(SCALES)))
    rows = [
        Row("framework", framework_turn, f"{points} points", 0.0),
        Row(
            "diffrax under vmap",
            lambda: 1e3 * seconds(lambda: jax.block_until_ready(solve(*arrays, jnp.asarray(SCALES)))) / points,
            f"{points} points",
            np.abs(theirs - norm).max(),
        ),
        Row(
            "diffrax under vmap, a seed a block, 2 threads",
            lambda: 1e3 * seconds(by_blocks) / points,
            f"{points} points",
            np.abs(by_blocks() - norm).max(),
        ),
        Row(
            "scipy LSODA, one after another",
            lambda: 1e3 * seconds(lambda: lsoda(A, y, w, SCALES[few])) / FEW,
            f"{FEW} points",
            np.abs(lsoda(A, y, w, SCALES[few]) - norm[0, few]).max(),
        ),
        *torch_rows(drawn, few, norm),
    ]
    print(
        report(
            "The WN flow, 8 x 20, to loss < 1e-10", rows, turns(rows, options.rounds), options.markdown, "ms a point"
        )
    )
