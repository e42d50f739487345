r"""Does SAM find sparse solutions?  With one perturbation for all it ends further off.   (Andriushchenko 2022)

Both start with less, by `gain`: log|a_j b_j| has lost 8 eta sum of rho g_j g~_j. Over all examples g = A^T r is large on the
support of the sparse x0, which is what r is made of: the start shrinks where it should not. Where each example has a
perturbation of its own it is rho m sum_i A_ij^2 r_i^2, much the same for every entry: a smaller start, and a sparser end.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .figures import recovery
from .nets import gained, law


def cell(*, method, rho, key, rows=20, columns=30, nonzeros=3, alpha=0.1, step=0.02, max_steps=3000):
    problem = ib.linear.sparse(rows, columns, nonzeros)(key)
    net = ib.Power(ib.Euclidean(alpha * np.sqrt(2 * columns)), 2, signed=True)
    return ib.Run(problem, net, ib.Descent(step, law=law(method, problem, rho), max_steps=max_steps))


def error(snapshot):
    """|x - x0|"""
    return jnp.linalg.norm(snapshot.x - ib.truth(snapshot.problem))


def sparse_truth(snapshot):
    """x0"""
    return ib.truth(snapshot.problem)


def gain(sums, truth):
    """What SAM takes from log|a b|, on average on the support of x0, and off it"""
    return {"on": np.mean(sums[0][truth != 0]), "off": np.mean(sums[0][truth == 0])}


# -- claims ------------------------------------------------------------------------------------------------------------

CAPPED = (ib.Status.CAPPED,)
ABSTRACT = "Andriushchenko & Flammarion 2022, abstract: better generalisation, amplified by m-sharpness (as read: of sparse x0)"


def further(ds):
    """|x - x0| of SAM less that of descent from the same start"""
    end = ib.curves.last(ds.error)
    return end - ib.curves.at(end, rho=0.0)


def sparse(ds):
    return {
        "a perturbation": ds.rho - 1e-6, "the truth is sparse": ds.rows / 5 - ds.nonzeros,
        "1.5 columns a row or less": 1.5 * ds.rows - ds.columns, "descent has fitted": 1e-2 - ib.curves.last(ds.loss),
    }  # fmt: skip


def of_method(method):
    return lambda ds: sparse(ds) | {f"method {method}": ib.curves.among(ds.method, method)}


ordering = ib.claims_with(
    source=ABSTRACT, accepts=CAPPED, kind=ib.Ordering(over="seed"), because="over seeds, at each rho", residual=further
)
CLAIMS = [
    ordering(
        id="sam-of-all-examples-ends-nearer", expected="refuted", hypotheses=of_method("full"),
        statement="SAM with one perturbation for all examples ends nearer to $x_0$ than descent from the same start",
    ),
    ordering(
        id="sam-of-each-example-ends-nearer", hypotheses=of_method("one"),
        statement="1-SAM ends nearer to $x_0$ than descent from the same start",
    ),
    ordering(
        id="sam-of-all-examples-shrinks-the-support", source="derived", hypotheses=of_method("full"),
        statement=r"the perturbation for all examples takes more from $\log |a b|$ on the support of $x_0$ than off it",
        residual=lambda ds: np.log(ds.gain_off / ds.gain_on),
    ),
    ordering(
        id="sam-of-each-example-shrinks-more-evenly", source="derived", hypotheses=of_method("one"),
        statement=r"what 1-SAM takes on the support over what it takes off it is a smaller ratio",
        residual=lambda ds: np.log(ds.gain_on / ds.gain_off) - ib.curves.at(np.log(ds.gain_on / ds.gain_off), method="full"),
    ),
]

study = ib.Study(
    cell=cell,
    grids=ib.grid(method=["full", "one"], rho=[0.0, 0.005, 0.01, 0.02], seed=range(14)),
    facts={"truth": sparse_truth},
    observe={"error": error, "sums": ib.summed(gained)},
    predict={"gain": gain},
    records=ib.log_records(4),
    claims=CLAIMS,
    figures=[recovery],
)
