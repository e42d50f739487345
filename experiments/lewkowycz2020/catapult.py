r"""What does a step do that is too large for its start?  f = <v, w>,  (f - y)^2 / 2,  v, w in R^n.   (Lewkowycz et al. 2020)

With lam = |v|^2 + |w|^2 and r = f - y a step of descent is, at every width n,

    r' = (1 - eta lam + eta^2 r f) r,      lam' = lam - 4 eta f r + eta^2 r^2 lam.

For y = 0, in s = eta lam and z = eta^2 f^2, that closes: z' = (1 - s + z)^2 z, s' = s - (4 - s) z, and 2 sqrt z <= s. So

    s < 4: s falls at each step, the z of all steps sum to (s_0 - s_K)/4 or more and s_0/(4 - s_0) or less: the loss goes to 0,
           where s is 2 or less, but for starts that land on f = 0 before (z = s - 1 at some step), which is unstable there;
    s < 2: the loss falls at each step;     s > 4: s grows at each step, and with it, but for such starts, the loss;
    s = 4: z = 4 sin^2 a with a' = 3 a.     2 < s < 4: a step raises the loss where z < s - 2, and nowhere else.

The thresholds 2 and 4 are known of the limit n -> infinity; they hold at n = 1. The paper was not at hand: "as read".
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .claims import CLAIMS
from .figures import figure

FIRST = 8  # steps, each of which is recorded


def cell(
    *, start, curvature, share, width, key, step=1.0, target=0.0, stop=1e-20, escape=1e6, max_steps=2000,
):  # fmt: skip
    """lam_0 is `curvature`, and |f_0| that share of the largest that it allows, lam/2; "thin": z_0 = s_0 - 1 instead."""
    if start == "thin":
        share = 2 * jnp.sqrt(step * curvature - 1) / (step * curvature)
    # f = (|p|^2 - |q|^2) / 2 and lam = |p|^2 + |q|^2 of p = (v + w) / sqrt 2, q = (v - w) / sqrt 2
    p, q = (x / jnp.linalg.norm(x) for x in jax.random.normal(ib.stream(key, "start"), (2, 1, width)))
    p, q = jnp.sqrt(curvature * (1 + share) / 2) * p, jnp.sqrt(curvature * (1 - share) / 2) * q
    problem = ib.matrix.fixed([[[1.0]]], [[0.0]], weight=1.0)(key).relabelled(lambda y: y + target)
    net = ib.Asymmetric(1.0, width, start=((p + q) / np.sqrt(2), (p - q) / np.sqrt(2)))
    # in units of z / 2, which is below 8 where s is below 4
    descent = ib.Descent(step, stop=ib.loss_below(stop / step**2), max_steps=max_steps, bound=escape / step**2)
    return ib.Run(problem, net, descent)


# -- what is read from a step ------------------------------------------------------------------------------------------


def s_of(snapshot):
    """s = eta lam"""
    return snapshot.dynamics.step * sum(jnp.sum(x * x) for x in snapshot.theta)


def z_of(snapshot):
    """z = eta^2 f^2"""
    return (snapshot.dynamics.step * snapshot.pred[0, 0]) ** 2


def recursion(before, after):
    """what r' and s' differ from the two formulas by, relative to their largest terms"""
    step, y = before.dynamics.step, before.problem.target[0]
    s, f, g = s_of(before), before.pred[0, 0], after.pred[0, 0]
    r = f - y
    off_r = g - y - (1 - s + step**2 * r * f) * r
    off_s = s_of(after) - (s - 4 * step**2 * f * r + step**2 * r**2 * s)
    largest = (1 + s + step * jnp.abs(r)) ** 2
    return jnp.maximum(step * jnp.abs(off_r), jnp.abs(off_s)) / (largest * (s + step * jnp.abs(y)))


def sums(before, after):
    """z, and (4 - s) z"""
    return z_of(before) * jnp.stack([jnp.ones(()), 4 - s_of(before)])


OBSERVE = {
    "s": s_of, "z": z_of, "recursion": ib.worst_change(recursion), "sum": ib.summed(sums),
    "rise": ib.worst_change(lambda before, after: after.loss / before.loss - 1),
    "grows": ib.worst_change(lambda before, after: s_of(after) - s_of(before)),
    "flat": ib.first_time(lambda snapshot: s_of(snapshot) <= 2),
    "highest": ib.running_max(ib.loss),
}  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(
        start="random", width=[1, 4], seed=range(2), step=1.0, share=[1e-3, 0.1, 0.3, 0.6, 0.8, 0.9, 0.97, 1.0],
        curvature=[0.5, 1.5, 1.99, 2.1, 2.3, 2.6, 3.0, 3.4, 3.8, 3.99, 4.0, 4.01, 4.5, 6.0],
    )
    + ib.grid(start="thin", width=[4], seed=range(2), step=1.0, share=0.0, curvature=[3.2, 3.5, 3.9])
    + ib.grid(
        start="plane", width=4, seed=[0], step=ib.logspace(0.25, 4, 25), share=0.3, curvature=ib.logspace(0.45, 15, 25)
    )
    + ib.grid(
        start="window", width=4, seed=[0], step=1.0, share=ib.linspace(0.02, 0.98, 25), curvature=ib.linspace(1.55, 4.25, 28)
    ),
    observe=OBSERVE,
    records=ib.records_at(range(FIRST + 1)),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20))},
)  # fmt: skip
