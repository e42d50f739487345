r"""Do large steps help?  Descent gains on the support of x*, single examples nearly everywhere.   (Even et al. 2023)

From one start a step of descent takes 4 eta^2 (A^T r)_i^2 from log|a_i b_i|, one of single examples in expectation 4 eta^2 m
sum_j A_ji^2 r_j^2 (r = A x - y; to the order of eta^2): the first is large where x* is, the second is nearly the same at all
entries and makes a smaller start, which is a sparser end. Steps are in units of 1/L, L the greatest curvature at x*, for
single examples those of a mean; the limit of small steps is that of the plain flow.

Of the paper the abstract alone was at hand: large steps help SGD and can hurt GD.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from . import figures
from .claims import SOURCE
from .given import halves

theory = ib.theory.diagonal


def cell(*, method, share, key, alpha=0.1, rows=10, columns=20, nonzeros=2, stop=1e-10, max_steps=40_000):
    problem = ib.linear.sparse(rows, columns, nonzeros)(key)
    net = ib.Power(ib.Euclidean(alpha * np.sqrt(2 * columns)), 2, signed=True)
    curvature = 4 * jnp.linalg.norm(problem.operator * jnp.sqrt(jnp.abs(ib.truth(problem)))[None, :], 2) ** 2
    single = method == "sgd"
    descent = ib.Descent(
        share / curvature / (rows if single else 1),
        batch=ib.minibatch(1, key) if single else None,
        stop=ib.loss_below(stop),
        max_steps=max_steps,
    )
    return ib.Run(problem, net, descent)


def truth(snapshot):
    """x*, from which the data are made. A fact."""
    return ib.truth(snapshot.problem)


# -- what is read of a run ---------------------------------------------------------------------------------------------


def small_steps(operator, x, z):
    """Where the plain flow ends, on the data A x"""
    return np.subtract(*halves(theory.plain_limit(np.concatenate([operator, -operator], -1), operator @ x[-1], z[0], 2)))


def gain(z, truth):
    """-log|ab / a_0 b_0| at the end: the mean on the support of x*, off it, and the log of their quotient"""
    log = -sum(halves(np.log(abs(z[-1] / z[0]))))
    on, off = np.mean(log[truth != 0]), np.mean(log[truth == 0])
    return {"on": on, "off": off, "quotient": np.log(on / off)}


PREDICTED = {
    "small_steps": small_steps,
    "more": lambda x, small_steps, truth: np.linalg.norm(x[-1] - truth) - np.linalg.norm(small_steps - truth),
    "gain": gain,
}

# -- claims ------------------------------------------------------------------------------------------------------------


def differ(value):
    """Descent less SGD, at each step and seed."""
    return lambda ds: ib.curves.at(ds[value], method="gd") - ib.curves.at(ds[value], method="sgd")


def of_method(method):
    return lambda ds: {method: ib.curves.among(ds.method, method)}


order = ib.claims_with(
    kind=ib.Ordering(over="seed"), accepts=(ib.Status.CONVERGED, ib.Status.CAPPED), because="over seeds, at each step"
)
CLAIMS = [
    order(
        id="large-steps-hurt-descent",
        source=f"{SOURCE}, abstract (as read)",
        statement="full-batch descent ends farther from $x_*$ than its limit of small steps",
        hypotheses=lambda ds: of_method("gd")(ds)
        | {
            "four measurements for each entry of $x_*$": ds.rows - 4 * ds.nonzeros,
            "five unknowns for four measurements": ds.columns - 1.25 * ds.rows,
        },
        residual=lambda ds: -ds.more,
    ),
    order(
        id="large-steps-help-single-examples",
        source=f"{SOURCE}, abstract (as read)",
        statement="descent on single examples ends nearer to $x_*$ than its limit of small steps",
        hypotheses=of_method("sgd"),
        residual=lambda ds: ds.more,
    ),
    order(
        id="gain-of-single-examples-is-more-even",
        source=f"{SOURCE} (derived from one step)",
        statement="the mean gain on the support of $x_*$ over that off it is smaller for single examples than for all",
        hypotheses=of_method("gd"),
        residual=lambda ds: -differ("gain_quotient")(ds),
    ),
]

study = ib.Study(
    cell=cell,
    grids=ib.grid(method=["gd", "sgd"], share=[0.25, 0.5, 1.0], seed=range(24)),
    facts={"operator": ib.operator, "target": ib.target, "truth": truth},
    observe={"x": ib.predictor(), "z": ib.layer},
    predict=PREDICTED,
    records=ib.log_records(3),
    claims=CLAIMS,
    figures=[figures.orderings],
    sizes={"paper": dict(seed=range(100), share=[0.125, 0.25, 0.5, 1.0, 1.5])},
)
