r"""SAM on x = a^2 - b^2 with |A x - y|^2 / 2: its gradients by hand, for all examples together and for each by itself.

Weights z = (a, b) move by -2 a~ g~ and 2 b~ g~, a~ = (1 + 2 rho_t G) a and b~ = (1 - 2 rho_t G) b: G is the gradient in x
before the perturbation, g~ after it. 1-SAM perturbs for each example by its own loss, m r_i^2 / 2 of m rows, and adds up.
"""

import jax.numpy as jnp

import implicit_bias as ib


def gradients(A, y, z, rho, each=False):
    """(update of z, sum of rho G g~): the sum over examples where `each` has its own perturbation."""
    a, b = jnp.split(z, 2)
    r = A @ (a * a - b * b) - y
    G = A.shape[0] * A * r[:, None] if each else (A.T @ r)[None, :]  # [groups, columns]
    up, down = (1 + 2 * rho * G) * a[None, :], (1 - 2 * rho * G) * b[None, :]
    left = (up * up - down * down) @ A.T - y[None, :]  # [groups, rows]
    after = A * jnp.diagonal(left)[:, None] if each else left @ A
    return jnp.concatenate([jnp.sum(2 * up * after, 0), jnp.sum(-2 * down * after, 0)]), jnp.sum(rho * G * after, 0)


class EachExample(ib.AbstractLaw):
    """1-SAM: the perturbation rho times the gradient of one example's loss, for each example."""

    A: jnp.ndarray
    y: jnp.ndarray
    rho: float
    name = "1-SAM"

    def init(self, theta):
        return None

    def step(self, gradient_at, theta, memory, key):
        return type(theta)(gradients(self.A, self.y, theta.x, self.rho, each=True)[0]), memory


def law(method, problem, rho):
    """The rule of a method by name."""
    if method == "one":
        return EachExample(problem.operator, problem.target, rho)
    return ib.sharpness_aware(rho, order=2 if method == "sam" else None)


def rho_now(law, problem, z):
    """rho, or rho / |grad| of the SAM that has a constant length"""
    order = getattr(law, "order", None)
    if order is None:
        return law.rho
    g = problem.operator.T @ (problem.operator @ jnp.subtract(*jnp.split(z * z, 2)) - problem.target)
    return law.rho / (2 * jnp.linalg.norm(z * jnp.concatenate([g, g])))


def rest(p):
    """R(p) = p - 1 - log|p|, what a step of descent has beside the flow"""
    return p - 1 - jnp.log(abs(p))


def gained(before, after):
    """8 eta rho_t sum G g~, then R(p) + R(s) and R(p) - R(s), of one step of descent"""
    if before.dynamics.unit == "t":
        return jnp.zeros((3, before.x.size))  # a flow's integral is its field's memory
    problem, law, step = before.problem, before.dynamics.law, before.dynamics.step
    rho = rho_now(law, problem, before.theta.x)
    _, product = gradients(problem.operator, problem.target, before.theta.x, rho, isinstance(law, EachExample))
    p, s = (rest(ratio) for ratio in jnp.split(after.theta.x / before.theta.x, 2))
    return jnp.stack([8 * step * product, p + s, p - s])
