r"""Observables of networks: their weights block by block, what they say at the examples, and how they scale.

    row_norms(block)                      the norm of each row of a matrix of the weights
    stable_rank(block)                    |W|_F^2 / |W|^2
    block_spectrum(block)                 its singular values
    error_rate(), error_rate_held_out()   share of examples on the wrong side, or of the wrong class
    outputs()                             f(x_i) at every example
    homogeneity()                         L with f(c theta) = c^L f(theta), by Euler: <theta, df/dtheta> = L f
    step_length(draws)                    |theta' - theta| of the step of descent from here, over draws of the batch
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._errors import Mistake
from .._types import Theta
from ..parameterizations.network import matrices
from ..parameterizations.network import row_norms as norms_of_rows
from .base import Measure, Snapshot


def name_of_matrix(theta: Theta, block: str) -> str:
    """`block/name` of the matrix of a block of the weights, which may be named itself."""
    known = matrices(theta)
    fits = [name for name in known if name == block or name.startswith(f"{block}/")]
    if len(fits) != 1:
        how = f"asks for the matrix of {block!r}, of which the weights have {len(fits) or 'none'}"
        raise Mistake("observe", how, f"known: {', '.join(known)}")
    return fits[0]


def matrix_at(snapshot: Snapshot, block: str) -> Array:
    """The matrix of a block of the weights: by the block's name where it has one, or by `block/name`."""
    return matrices(snapshot.theta)[name_of_matrix(snapshot.theta, block)]


def row_norms(block: str, unit_axis: int = -1) -> Measure:
    """The norm of each row of a matrix: of the weights of one output."""
    return Measure(
        lambda snapshot: norms_of_rows(matrix_at(snapshot, block), unit_axis).reshape(-1), f"|row| of each row of {block}"
    )


def stable_rank(block: str) -> Measure:
    """|W|_F^2 / |W|^2, from 1 to the rank."""

    def measure(snapshot: Snapshot) -> Array:
        s = jnp.linalg.svd(matrix_at(snapshot, block), compute_uv=False)
        return jnp.sum(s**2) / s[0] ** 2

    return Measure(measure, f"|W|_F^2 / |W|^2 of {block}")


def block_spectrum(block: str) -> Measure:
    """The singular values of a matrix of the weights, in descending order."""
    return Measure(
        lambda snapshot: jnp.linalg.svd(matrix_at(snapshot, block), compute_uv=False), f"singular values of {block}"
    )


def outputs() -> Measure:
    """f(x_i) for every example."""
    return Measure(lambda snapshot: snapshot.pred(snapshot.problem.inputs), "f(x) at each input")


def _wrong(z: Array, y: Array, classes: int | None) -> Array:
    """A number is on the wrong side where its sign is; of several, the class is the largest."""
    if z.ndim == 1:
        return jnp.mean((y * z <= 0).astype(z.dtype))
    right = y if classes is not None else jnp.argmax(y, axis=1)
    return jnp.mean((jnp.argmax(z, axis=1) != right).astype(z.dtype))


def error_rate() -> Measure:
    """The share of the examples that are wrongly classified (labels -1 and 1, classes, or one-hot classes)."""

    def measure(snapshot: Snapshot) -> Array:
        problem = snapshot.problem
        return _wrong(snapshot.pred(problem.inputs), problem.targets, problem.classes)

    return Measure(measure, "share of the examples wrongly classified")


def error_rate_held_out() -> Measure:
    """The same of the examples that are held out."""

    def measure(snapshot: Snapshot) -> Array:
        inputs, targets = snapshot.problem.held_out
        return _wrong(snapshot.pred(inputs), targets, snapshot.problem.classes)

    return Measure(measure, "share of the examples held out that are wrongly classified")


def loss_held_out() -> Measure:
    """The mean loss over the examples that are held out."""
    return Measure(lambda snapshot: snapshot.problem.loss_held_out(snapshot.pred), "loss of the examples held out")


def homogeneity() -> Measure:
    """`NAME.degree` L, least squares of <theta, df/dtheta> = L f over the examples, and `NAME.defect` |difference| / |f|."""

    def measure(snapshot: Snapshot) -> dict[str, Array]:
        theta, x = snapshot.theta, snapshot.problem.inputs
        f, along = jax.jvp(lambda theta: snapshot.parameterization(theta)(x), (theta,), (theta,))
        square = jnp.sum(f * f)
        degree = jnp.sum(f * along) / square
        return {"degree": degree, "defect": jnp.sqrt(jnp.sum((along - degree * f) ** 2) / square)}

    return Measure(measure, "L of f(c theta) = c^L f(theta) by Euler's identity, and by how much it fails")


def step_length(draws: int = 1) -> Measure:
    """|theta' - theta| for the step that descent takes from here; with `draws`, the root mean square over so many batches.

    What is left of it where the gradient of all examples vanishes is the noise of the batches.
    """

    def measure(snapshot: Snapshot) -> Array:
        run, descent = snapshot.run, snapshot.dynamics
        if not hasattr(descent, "update"):
            raise Mistake("observe", f"asks for the step of a {type(descent).__name__}", "observe it of ib.Descent")
        held = descent.hold(run.objective, snapshot.held)

        def square(count: Array) -> Array:
            moved = run.chart.lift(run.chart.settle(descent.update(run.objective, held, snapshot.remembered, count)[1]))
            apart = jax.tree.map(lambda new, old: jnp.sum((new - old) ** 2), moved, snapshot.theta)
            return sum(jax.tree.leaves(apart))

        return jnp.sqrt(jnp.mean(jax.vmap(square)(snapshot.steps + jnp.arange(draws, dtype=snapshot.steps.dtype))))

    return Measure(measure, "|theta' - theta| of the next step")
