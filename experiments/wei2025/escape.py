r"""How soon does a frame find a direction?  The flow of weight normalisation at rank one, r columns in R^m.   (Wei et al. 2025)

With c = |X^T v|^2 as in `angle`, the gradient flow of |X Theta X^T - s v v^T|^2 / 4 has dc/dt = 2 s^2 c^2 (1 - c), so that

    log(c/(1 - c)) - 1/c = 2 s^2 t + const        (derived; here s = 1):

from c_0 the frame needs about 1/(2 s^2 c_0) to turn to v. A uniform frame has E c_0 = r/m: more columns than the rank needs
buy speed, as the paper says of its iteration complexity. With one column 1/c_0 has no mean, and medians say more.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib


SHARE = 0.5
"""The c at which a frame counts as turned."""


def cell(*, width, key, size=40, until=1e9, rtol=1e-9):
    problem = ib.matrix.population(size, 1)(key)
    flow = ib.Flow(until, stop=ib.loss_below((1 - SHARE**2) / 4), rtol=rtol, atol=1e-2 * rtol, max_steps=20_000)
    return ib.Run(problem, ib.Stiefel(width, problem.truth), flow)


def aligned(snapshot):
    """c = |X^T v|^2"""
    return jnp.sum((snapshot.theta.x.T @ snapshot.problem.left) ** 2)


# -- what theory says --------------------------------------------------------------------------------------------------


def conserved(c):
    """log(c/(1 - c)) - 1/c"""
    return np.log(c / (1 - c)) - 1 / c


PREDICTED = {
    "first": ib.batched(lambda c: c[..., 0]),
    "due": ib.batched(lambda first: (conserved(SHARE) - conserved(first)) / 2),
    "by_mean": ib.batched(lambda width, size: size / (2 * np.asarray(width, float))),
}

# -- claims ------------------------------------------------------------------------------------------------------------

claim = ib.claims_with(source="Wei et al. 2025, generalised weight normalisation at its best core (derived)")
CLAIMS = [
    claim(
        id="time-to-escape",
        statement=r"$c = |X^\top v|^2$ is $1/2$ when $2 s^2 t = F(1/2) - F(c_0)$, $F(c) = \log(c/(1 - c)) - 1/c$",
        hypotheses=lambda ds: {"$c_0 < 1/2$": SHARE - ds["first"]},
        residual=lambda ds: abs(ds.time - ds.due),
        tolerance=lambda ds: 1e-5 + 1e3 * ds.rtol * ds.due,
        because="a flow stops within 1e-6 of the stop rule's loss, here 3e-6 of time; integrator at a relative rtol a step",
    ),
    claim(
        id="more-columns-escape-sooner",
        source="Wei et al. 2025, abstract: complexity improves with overparameterization (as read, at rank one)",
        statement="with more columns the frame turns to $v$ sooner, in the mean of the logarithm",
        kind=ib.Ordering(over="seed"),
        hypotheses=lambda ds: {
            "a next larger width": ib.curves.has_next(ds.width),
            "$c_0 < 1/2$ for both": SHARE - np.maximum(ds["first"], ib.curves.at_next(ds["first"], "width").fillna(0)),
        },
        residual=lambda ds: np.log(ib.curves.at_next(ds.time, "width") / ds.time),
        because="over seeds, at each width",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------

figure = ib.Figure(
    id="escape",
    panels=[
        ib.panel(
            ib.curves_of("time", x="width", label="measured", join=False, spread="middle 80 %"),
            ib.theory_of("by_mean", x="width", label=r"$m / 2 s^2 r$, from $\mathrm{E}\, c_0 = r/m$"),
            x="columns $r$", y="time to $|X^\\top v|^2 = 1/2$", log="xy",
        ),
        ib.panel(
            ib.curves_of("time", x="due", by="width", name="$r = {}$", band=None),
            ib.guide(1.0, "equal"),
            x="time by the law, from $c_0$", y="time to $|X^\\top v|^2 = 1/2$", log="xy",
        ),
    ],
    caption="When the flow of weight normalisation has turned a uniform frame of r columns in {size} dimensions to v, "
    "{seed.count} seeds: against r (medians; the line has the mean of c_0 in the place of c_0), and against the law.",
    claims=["time-to-escape", "more-columns-escape-sooner"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(width=[1, 3, 10], seed=range(24)),
    observe={"c": aligned},
    predict=PREDICTED,
    records=ib.linear_records(2),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(width=[1, 2, 3, 5, 10, 20], seed=range(200))},
)
