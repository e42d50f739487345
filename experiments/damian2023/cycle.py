r"""What does descent do at the edge, in one dimension?  L = (a^2 - y)^2/2: two-cycles in closed form.   (Damian et al. 2023)

A step is a' = c a - 2 eta a^3 with c = 1 + 2 eta y, which eta y alone decides. It converges for eta y < 1/2; then there is a
cycle of two

    |a| = m +- d,    m^2 = (3 + 2 eta y) / 8 eta,    d^2 = (2 eta y - 1) / 8 eta,    of multiplier 9 - 2 c^2:

stable up to eta y = (sqrt 5 - 1)/2. At eta y = 1 all of [-a*, a*], a*^2 = (1 + eta y)/eta, is mapped onto itself by a cubic of
Chebyshev; beyond, almost every start diverges.

The central flow rests at L' + (x/2) L''' = 0, L'' = 2/eta: a^2 = (1/eta + y)/3, of variance x = (2 y - 1/eta)/9. Its first
equation holds exactly of the mean m and the variance d^2 of a cycle, since L' is a cubic. The second leaves out the fourth
derivative: L'' + (d^2/6) L'''' = 2/eta. That is of the order of d^2, like all of the excess over 1/2: d^2 is 9/8 of x at
every eta y, however near the edge.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .cycle_claims import CLAIMS, GOLDEN, STAYED, on_the_cycle

TAIL = 32  # steps at the end, each of which is recorded


def cell(*, method, edge, key, target=1.0, max_steps=20_000, until=400.0, rtol=1e-9):
    """`edge` is eta y; the start is drawn from where cycles and chaos live."""
    start = jax.random.uniform(ib.stream(key, "start"), minval=0.3, maxval=1.2)
    net = ib.Power(ib.Euclidean(start * jnp.sqrt(target)), 2)
    step = edge / target
    law = ib.Descent(step, max_steps=max_steps)
    if method == "central":
        law = ib.Flow(until * step, field=ib.Central(step), rtol=rtol, atol=1e-2 * rtol)
    return ib.Run(ib.linear.fixed([[1.0]], [target])(key), net, law)


def records(dynamics):
    """The last steps of descent; the start and the end of a flow."""
    last = range(dynamics.end - TAIL, dynamics.end) if dynamics.unit == "steps" else []
    return ib.records_at(last)(dynamics)


# -- what theory says of a run -----------------------------------------------------------------------------------------


@ib.batched
def cycle(edge, target):
    """m, d, the multiplier, and the a and the variance at which the central flow rests"""
    step = edge / target
    return {
        "m": np.sqrt((3 + 2 * edge) / (8 * step)), "d": np.sqrt(np.maximum(2 * edge - 1, 0) / (8 * step)),
        "multiplier": 9 - 2 * (1 + 2 * edge) ** 2,
        "central": np.sqrt((1 / step + target) / 3), "variance": (2 * target - 1 / step) / 9,
    }  # fmt: skip


def seen(a, method):
    """The larger and the smaller |a| of the last two steps, their mean and half their difference, and |a| two steps apart."""
    if method == "central":
        return {"end": abs(a[-1])}
    last = abs(a[-3:])
    return {"mean": last[1:].mean(), "half": abs(last[2] - last[1]) / 2, "apart": abs(last[2] - last[0]), "tail": abs(a[1:])}


# -- figure ------------------------------------------------------------------------------------------------------------

GD, RED = dict(x="edge", on="gd"), {None: dict(colour="vermillion", line="-")}


def where_stable(value):
    return lambda ds: value(ds).where((ds.edge > 0.5) & (ds.edge < GOLDEN))


figure = ib.Figure(
    id="cycle",
    panels=[
        ib.panel(
            ib.curves_of(
                "seen_tail", x=lambda ds: ds.edge + 0 * ds.status, of={"seed": "first"}, on="gd", accepts=STAYED,
                label="last steps", looks={None: dict(colour="sky", marker=".")},
            ),
            ib.theory_of(where_stable(lambda ds: ds.cycle_m + ds.cycle_d), label=r"$m \pm d$", looks=RED, **GD),
            ib.theory_of(where_stable(lambda ds: ds.cycle_m - ds.cycle_d), looks=RED, **GD),
            ib.theory_of(
                lambda ds: ds.cycle_central.where(ds.edge > 0.5), label="central flow",
                looks={None: dict(colour="green", line="--")}, **GD,
            ),
            x=r"$\eta y$", y="$|a|$",
        ),
        ib.panel(
            ib.curves_of(
                lambda ds: (ds.seen_half**2 / ds.cycle_variance).where(on_the_cycle(ds)["long enough to be on it"] > 0),
                accepts=STAYED, label="variance", join=False, **GD,
            ),
            ib.level(9 / 8, "9/8", on="gd"), ib.level(1.0, "central flow", on="gd"),
            x=r"$\eta y$", y="descent / central flow", xlim=(0.49, 0.63), ylim=(0.9, 1.2),
        ),
    ],
    caption="Descent on (a^2 - y)^2/2 after {max_steps} steps. Left: |a| at the last steps from one start, with the cycle "
    "in closed form where it is stable, and where the central flow rests. Right: the variance of a cycle over that of the "
    "central flow, {seed.count} starts, is 9/8, however near the edge.",
    claims=["two-cycle-in-closed-form", "variance-is-nine-eighths-of-central", "variance-is-that-of-the-central-flow"],
)  # fmt: skip

EDGES = [0.3, 0.45, 0.49, 0.502, 0.51, 0.55, 0.6, 0.617, 0.6185, 0.65, 0.8, 0.99, 1.0, 1.001, 1.1]
study = ib.Study(
    cell=cell,
    grids=ib.grid(method="gd", edge=sorted({*EDGES, *ib.linspace(0.4, 1.0, 49)}), seed=range(4))
    + ib.grid(method="central", edge=EDGES, seed=range(2)),
    observe={"a": lambda snapshot: snapshot.theta.x[0]},
    predict={"cycle": cycle, "seen": seen},
    records=records,
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20))},
)  # fmt: skip
