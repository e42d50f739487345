r"""What does label noise find?  A Lasso with weights |A_i|^2, not the sparsest fit.   (Damian et al. 2021)

x = a^2 - b^2, and at each step fresh targets y + sigma xi: g = A^T (A x - y - sigma xi), a' = (1 - 2 eta g) a and
b' = (1 + 2 eta g) b. So |a b|' = |1 - 4 eta^2 g^2| |a b| exactly, and every |a b| dies, at the rate 4 eta^2 sigma^2 |A_i|^2 to
first order. What is left of entry i is one branch: it lives where the mean of log|1 -+ 2 eta g_i| is 0, and dies where it is
below. To first order the mean of g_i is then -+ eta E g_i^2 = -+ eta sigma^2 |A_i|^2: the mean iterate solves

    min |A x - y|^2 / 2 + eta sigma^2 sum |A_i|^2 |x_i|,         and for eta -> 0 fits with the least sum |A_i|^2 |x_i|.

The next two orders are known, too. With G = A^T A and D = diag|x|, log|x| drifts by -4 eta A^T (A x - y) under the noise
4 eta sigma A^T xi: the live x_i are independent Gammas with covariance 2 eta sigma^2 D, however large beside the mean, and at
finite steps 2 eta sigma^2 (D + 2 eta D G D + ...). So the mean of g_i^2, and for normal noise those of g_i^3 and g_i^4, make

    |A_i|^2 + 2 eta (G D G)_ii + [4 eta^2 (G D G D G)_ii + 3 eta^2 sigma^2 |A_i|^4]

of the weight |A_i|^2. It takes 1 / (eta sigma |A_i|)^2 steps to forget the start: earlier it is near the sparsest fit, the
nearer the smaller the step.

The problems are in the plane: y = A_1, between two columns at angles of about 61 degrees, and one more. So (1, 0, 0, 0) is the
sparsest fit, and of least l1 norm where |A_1| is at least that of others. It has not the least weight where |A_1| = 2.6.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .claims import CLAIMS
from .figures import figure


def cell(*, step, draw, first, key, sigma=2.0, alpha=0.1, max_steps=80_000):
    """A_1 and A_4 have the norm `first`, A_2 and A_3 the norm 1; `draw` turns each a little."""
    turned = jax.random.uniform(ib.stream(jax.random.key(jnp.asarray(draw, int)), "angles"), (4,), minval=-2.0, maxval=2.0)
    angles = jnp.radians(jnp.array([0.0, 61.0, -61.0, 95.0]) + turned)
    A = jnp.array([first, 1.0, 1.0, first])[None, :] * jnp.stack([jnp.cos(angles), jnp.sin(angles)])
    net = ib.Power(ib.Euclidean(alpha * np.sqrt(8)), 2, signed=True)
    law = ib.Descent(step, batch=ib.label_noise(sigma, key), max_steps=max_steps)
    return ib.Run(ib.linear.fixed(A, A[:, 0])(0), net, law)


# -- what is measured: at each step, with the noise of that step -------------------------------------------------------


def branches(snapshot):
    """a and b"""
    return jnp.split(snapshot.theta.x, 2)


def factor(snapshot):
    """|1 - 4 eta^2 g^2|, g from the weights and the noise of the next step"""
    A, y = snapshot.problem.operator, snapshot.problem.target
    noise = snapshot.dynamics.batch
    noisy = y + noise.sigma * noise.draw(y.shape, snapshot.steps)
    g = A.T @ (A @ snapshot.x - noisy)
    return abs(1 - 4 * snapshot.dynamics.step**2 * g**2)


def off_product(before, after):
    """| |a b|' / |a b| - |1 - 4 eta^2 g^2| | of all entries whose |a b| is above 1e-250"""
    old, new = (abs(jnp.multiply(*branches(s))) for s in (before, after))
    there = old > 1e-250
    return jnp.max(jnp.where(there, abs(new / jnp.where(there, old, 1.0) - factor(before)), 0.0))


def late(snapshot):
    """in the second half"""
    return snapshot.steps >= snapshot.dynamics.max_steps // 2


OBSERVED = {
    "off_product": ib.worst_change(off_product),
    "mean": ib.mean_change(lambda before, after: before.x, when=late),
    "decay": ib.mean_change(lambda before, after: jnp.log(factor(before)), when=late),
}

# -- what theory says of a problem -------------------------------------------------------------------------------------


def lasso(operator, target, weights, step, sigma):
    """The minimiser of |A x - y|^2 / 2 + eta sigma^2 sum |A_i|^2 |x_i|"""
    found = ib.lasso(operator, target, step * sigma**2 * weights)
    return {"x": found.x, "doubt": abs(found.gap), "slope": operator.T @ (target - operator @ found.x)}


def next_orders(operator, target, weights, step, sigma, lasso_x, lasso_slope):
    """The same with the weights of the next two orders; how far they move it, and what is left; how much faster |a b| dies"""
    gram = operator.T @ operator
    pull = 2 * step * gram @ np.diag(abs(lasso_x))
    one = np.diag(pull @ gram)
    both = one + np.diag(pull @ pull @ gram) + 3 * (step * sigma * weights) ** 2
    nearer, x = (ib.lasso(operator, target, step * sigma**2 * (weights + more)).x for more in (one, both))
    share = np.max(both / weights, where=lasso_x != 0, initial=0.0)
    # E log|1 - u^2| = -E u^2 - 3 k^4 / 2 - ...,  u = 2 eta g and k^2 = 4 eta^2 sigma^2 |A_i|^2 that of its noise, normal
    faster = one / weights + lasso_slope**2 / (sigma**2 * weights) + 6 * step**2 * sigma**2 * weights
    return {"x": x, "moved": np.max(abs(x - lasso_x)), "left": 8 * share * np.max(abs(x - nearer)), "faster": faster}


def forgotten(weights, step, sigma, max_steps, lasso_slope, lasso_x):
    """The drift of log of a dead branch in half of the run, over its standard deviation; the least of the dead entries."""
    times = step**2 * sigma**2 * weights * (max_steps // 2)
    drift = np.sqrt(times) * (1 - abs(lasso_slope) / (step * sigma**2 * weights))
    return np.min(np.where(lasso_x == 0, drift, np.sqrt(times)))


PREDICTED = {
    "weights": lambda operator: np.sum(operator**2, 0),
    "lasso": lasso, "next_orders": next_orders, "forgotten": forgotten,
    "least_weight": lambda operator, target, weights: ib.min_l1(operator / weights, target).x / weights,
    "least_l1": lambda operator, target: ib.min_l1(operator, target).x,
    "kick": lambda weights, step, sigma: 2 * step * sigma * np.sqrt(np.max(weights)),
    "off_decay": lambda decay, weights, step, sigma, next_orders_faster: (
        -decay / (4 * step**2 * sigma**2 * weights) - 1 - next_orders_faster
    ),
    "off_lasso": lambda mean, lasso_x: mean - lasso_x,
    "off_next_orders": lambda mean, next_orders_x: mean - next_orders_x,
    "off_least_weight": lambda mean, least_weight: np.linalg.norm(mean - least_weight),
    "off_least_l1": lambda mean, least_l1: np.linalg.norm(mean - least_l1),
    "fits_apart": lambda least_weight, least_l1: np.linalg.norm(least_weight - least_l1),
    "lasso_off": lambda lasso_x, least_weight: np.linalg.norm(lasso_x - least_weight),
}  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(first=[2.6, 1.0], draw=[0.0, 1.0], seed=range(10), step=[0.016, 0.02, 0.025, 0.031]),
    facts={"operator": ib.operator, "target": ib.target},
    observe=OBSERVED,
    predict=PREDICTED,
    records=ib.linear_records(2),
    claims=CLAIMS,
    figures=[figure],
)
