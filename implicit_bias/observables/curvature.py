r"""Curvature along a run: the ends of the spectrum of a Hessian, what a law sees of it, and all of it roughly.

    sharpness(k)                 lambda_1 >= ... >= lambda_k of H, the Hessian of loss + penalty in the weights
    preconditioned_sharpness()   lambda_1 of P^-1/2 H P^-1/2, P what Adam or RMSProp divides the gradient by
    output_curvature()           max_i |f''(x_i)|, the spectral norm of the Hessian of a network's output itself
    spectral_density()           nodes and weights of H's density, which `implicit-bias spectrum` draws

Lanczos stops on its bound (`linalg.top`). An eigenvalue that has not converged is nan in the dataset, and the bound
that stands beside it says by how much: a lower end would pass for a number.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import linalg
from .._errors import Mistake
from .base import Measure, Snapshot


def hessian(snapshot: Snapshot) -> linalg.Matvec:
    """v -> H v at a snapshot, H the Hessian of loss + penalty in the weights."""
    return linalg.hvp(snapshot.in_users_coordinates.total, snapshot.theta)


def _told(top: linalg.Extreme) -> dict[str, Array]:
    """As variables; one number without an axis."""
    found = {"value": jnp.where(top.converged, top.values, jnp.nan), "bound": top.bounds}
    alone = top.values.shape == (1,)
    return {n: v[0] if alone else v for n, v in found.items()} | {"products": top.products.astype(float)}


def sharpness(count: int = 1, *, end: str = "largest", tolerance: float = 1e-6, products: int = 400) -> Measure:
    """The `count` first eigenvalues of the Hessian from an `end` ("largest", "smallest", "magnitude"): `NAME.value`, `NAME.bound`, `NAME.products`."""

    def measure(snapshot: Snapshot) -> dict[str, Array]:
        matvec = hessian(snapshot)
        return _told(linalg.top(matvec, snapshot.theta, count, end=end, tolerance=tolerance, products=products))

    which = "of largest magnitude" if end == "magnitude" else end
    what = f"eigenvalue ({which})" if count == 1 else f"{count} eigenvalues ({which})"
    return Measure(measure, f"the {what} of the Hessian of loss + penalty; nan where Lanczos did not converge")


def preconditioned_sharpness(*, tolerance: float = 1e-6, products: int = 400) -> Measure:
    """The largest eigenvalue of P^-1/2 H P^-1/2, P what the law divides by: `NAME.value`, `NAME.bound`, `NAME.products`."""

    def measure(snapshot: Snapshot) -> dict[str, Array]:
        divisor, matvec = snapshot.dynamics.divisor(snapshot.memory), hessian(snapshot)
        if divisor is not None:
            matvec = linalg.preconditioned(matvec, divisor)
        return _told(linalg.top(matvec, snapshot.theta, tolerance=tolerance, products=products))

    what = "P what the law divides the gradient by: 1 of most laws, and of Adam nan before its first step"
    return Measure(measure, f"the largest eigenvalue of P^-1/2 H P^-1/2, {what}")


def output_curvature(*, tolerance: float = 1e-6, products: int = 400) -> Measure:
    """max over inputs of |f''(x)|, for a network of one output: `NAME.value`, `NAME.bound`, `NAME.products`."""

    def measure(snapshot: Snapshot) -> dict[str, Array]:
        network, theta, problem = snapshot.parameterization, snapshot.theta, snapshot.problem
        if problem.outputs is not None:
            raise Mistake(
                "observe", f"asks for the curvature of an output, and there are {problem.outputs}",
                "give targets that are numbers without an axis",
            )  # fmt: skip

        def largest(x: Array) -> dict[str, Array]:
            matvec = linalg.hvp(lambda theta: network(theta)(x[None])[0], theta)
            return _told(linalg.top(matvec, theta, end="magnitude", tolerance=tolerance, products=products))

        each = jax.lax.map(largest, problem.inputs)
        return {
            "value": jnp.max(jnp.abs(each["value"])),
            "bound": jnp.max(each["bound"]),
            "products": jnp.sum(each["products"]),
        }

    what = "max_i of the spectral norm of the Hessian of f(x_i) in the weights"
    return Measure(measure, f"{what}; nan where Lanczos did not converge")


def spectral_density(steps: int = 40, probes: int = 4) -> Measure:
    """Nodes and weights of the density of the Hessian's spectrum: `NAME.nodes` and `NAME.weights` [probe, node]."""

    def measure(snapshot: Snapshot) -> dict[str, Array]:
        found = linalg.density(hessian(snapshot), snapshot.theta, jax.random.key(0), steps=steps, probes=probes)
        return {"nodes": found.nodes, "weights": found.weights}

    return Measure(measure, f"quadrature of the density of the Hessian's spectrum, {probes} probes of {steps} products")
