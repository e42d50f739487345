r"""Linear problems: x in R^d, loss l(A x, y), A of full rank, and of m rows < d columns but where it is given (`fixed`).

Samplers are functions that return functions: sizes outside, the key inside.

    gaussian(rows, columns)            A_ij ~ N(0, 1/m)
    orthonormal(rows, columns)         A A^T = I
    with_spectrum(spectrum, columns)   A = U diag(spectrum) V^T, U and V Haar
    sparse(rows, columns, nonzeros)    A_ij ~ N(0, 1/m),  y = A x0 + noise, x0 sparse and known: `truth`
    fixed(A, y)                        given data, of any shape

The target of least squares is y = A x0, x0 standard normal, rescaled so that |x*| = |pinv(A) y| = `target_norm`;
for the losses of labels it is sign(A x0).

>>> problem = gaussian(rows=4, columns=9, target_norm=3.0)(0)
>>> problem.operator.shape, round(float(jnp.linalg.norm(min_norm(problem))), 5)
((4, 9), 3.0)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._errors import Mistake
from .._keys import SeedKey, stream
from .._types import Matrix, Requirements, Scalar, ScalarLike, Targets
from .base import AbstractProblem, ProblemSampler, min_norm, orthogonal_part, random_frame, singular_values, truth
from .losses import SEPARABLE, Loss, square


class Linear(AbstractProblem):
    """`loss(x) = l(A x, y)`."""

    operator: Matrix
    target: Targets
    of_predictions: Loss = eqx.field(static=True, default=square)
    made_from: Float[Array, " columns"] | None = None
    """What `truth` returns."""

    @property
    def dimension(self) -> int:
        return self.operator.shape[1]

    @property
    def separable(self) -> bool:
        return self.of_predictions in SEPARABLE

    def loss(self, pred: Float[Array, " columns"]) -> Scalar:
        return self.of_predictions(self.operator @ pred, self.target)

    def margins(self, pred: Float[Array, " columns"]) -> Targets:
        return self.target * (self.operator @ pred)

    @property
    def examples(self) -> int:
        return self.operator.shape[0]

    def subset(self, indices: Int[Array, " batch"]) -> Linear:
        return Linear(self.operator[indices], self.target[indices], self.of_predictions, self.made_from)

    def relabelled(self, change: Callable[[Targets], Targets]) -> Linear:
        if self.separable:
            return super().relabelled(change)
        return dataclasses.replace(self, target=change(self.target))

    def requirements(self) -> Requirements:
        spectrum = singular_values(self)
        resolution = self.dimension * jnp.finfo(spectrum.dtype).eps
        finite = jnp.all(jnp.isfinite(self.operator)) & jnp.all(jnp.isfinite(self.target))
        asked = {
            ("A, y", "hold a number that is not finite", "clean the data"): finite,
            ("A", "is rank-deficient", "drop the dependent rows: the theory needs full row rank"): spectrum[-1]
            > resolution * spectrum[0],
        }
        if self.of_predictions is square:
            # y = 0 is interpolated by x* = 0, where g* = 0 and the direction w* does not exist.
            asked[("y", "is zero", "give a target_norm or data with a nonzero target")] = jnp.any(self.target != 0)
        if self.separable:
            asked[("y", "must hold the labels -1 and 1 for this loss", "take their sign")] = jnp.all(
                jnp.abs(self.target) == 1
            )
        return asked


def _overparametrised(rows: int, columns: int) -> None:
    if rows < 1:
        raise Mistake("rows", f"must be at least 1, got {rows}", "give a positive number of rows")
    if rows >= columns:
        raise Mistake(
            "rows",
            f"must be fewer than columns, got {rows} x {columns}",
            "raise columns: with rows >= columns one solution fits and there is no bias to study",
        )


def _target(operator: Matrix, key: SeedKey | int, target_norm: ScalarLike | None, loss: Loss) -> Targets:
    if loss in SEPARABLE and target_norm is not None:
        raise Mistake("target_norm", "has no meaning for labels in {-1, 1}", "leave it out")
    hidden = jax.random.normal(stream(key, "target"), operator.shape[1:])
    target = operator @ hidden
    if loss in SEPARABLE:
        return jnp.where(target >= 0, 1.0, -1.0)
    if target_norm is None:
        return target
    # |pinv(A) y|^2 = y^T (A A^T)^{-1} y, through the QR of A^T: no squared condition number
    triangular = jnp.linalg.qr(operator.T, mode="r")
    size = jnp.linalg.norm(jax.scipy.linalg.solve_triangular(triangular.T, target, lower=True))
    return target * (target_norm / size)


def gaussian(rows: int, columns: int, *, target_norm: ScalarLike | None = None, loss: Loss = square) -> ProblemSampler:
    """Independent entries of variance 1/rows: the rows are nearly orthogonal with squared norm columns/rows."""
    _overparametrised(rows, columns)

    def sample(key: SeedKey | int) -> Linear:
        operator = jax.random.normal(stream(key, "operator"), (rows, columns)) / np.sqrt(rows)
        return Linear(operator, _target(operator, key, target_norm, loss), loss)

    return sample


def with_spectrum(
    spectrum: Float[Array, " rows"], columns: int, *, target_norm: ScalarLike | None = None, loss: Loss = square
) -> ProblemSampler:
    """Given singular values between random frames: eigenvalues of A A^T are `spectrum ** 2`."""
    spectrum = jnp.asarray(spectrum)
    rows = spectrum.shape[0]
    _overparametrised(rows, columns)

    def sample(key: SeedKey | int) -> Linear:
        left = random_frame(stream(key, "left frame"), rows, rows)
        right = random_frame(stream(key, "right frame"), columns, rows)
        operator = (left * spectrum[None, :]) @ right.T
        return Linear(operator, _target(operator, key, target_norm, loss), loss)

    return sample


def orthonormal(
    rows: int, columns: int, *, target_norm: ScalarLike | None = None, loss: Loss = square
) -> ProblemSampler:
    """Orthonormal rows, A A^T = I: the setting of Theorem 3.2."""
    return with_spectrum(jnp.ones(rows), columns, target_norm=target_norm, loss=loss)


def sparse(
    rows: int, columns: int, nonzeros: int, *, noise: ScalarLike = 0.0, nonnegative: bool = False
) -> ProblemSampler:
    """Least squares with y = A x0 + noise N(0, I): x0 has `nonzeros` entries at random places, of sizes in [1/2, 3/2].

    Their signs are random unless `nonnegative`. The noise is drawn in any case, so that it changes no other draw.

    >>> import implicit_bias as ib
    >>> problem = sparse(rows=4, columns=9, nonzeros=2)(0)
    >>> int((ib.truth(problem) != 0).sum()), float(problem.loss(ib.truth(problem)))
    (2, 0.0)
    """
    _overparametrised(rows, columns)
    if not 1 <= nonzeros <= columns:
        raise Mistake("nonzeros", f"must be from 1 to {columns}, got {nonzeros}", "give how many entries x0 has")

    def sample(key: SeedKey | int) -> Linear:
        operator = jax.random.normal(stream(key, "operator"), (rows, columns)) / np.sqrt(rows)
        sizes = jax.random.uniform(stream(key, "sizes"), (columns,), minval=0.5, maxval=1.5)
        signs = jnp.where(jax.random.bernoulli(stream(key, "signs"), shape=(columns,)) | nonnegative, 1.0, -1.0)
        places = jax.random.permutation(stream(key, "support"), columns) < nonzeros
        hidden = jnp.where(places, signs * sizes, 0.0)
        target = operator @ hidden + noise * jax.random.normal(stream(key, "noise"), (rows,))
        return Linear(operator, target, square, hidden)

    return sample


def fixed(operator: Any, target: Any, *, loss: Loss = square) -> ProblemSampler:
    """Given data, as arrays or nested lists: the key is not used. It may have as many rows as columns, or more.

    >>> float(fixed([[1.0, 0.0]], [1.0])(0).loss(jnp.array([0.0, 5.0])))
    0.5
    """
    operator, target = jnp.asarray(operator, dtype=float), jnp.asarray(target, dtype=float)
    if operator.ndim != 2 or target.shape != operator.shape[:1]:
        raise Mistake(
            "A, y", f"have shapes {operator.shape} and {target.shape}", "give A of rows x columns and y of rows"
        )
    if operator.size == 0:
        raise Mistake("A, y", f"have shapes {operator.shape} and {target.shape}", "give at least one row and one column")

    def sample(key: SeedKey | int) -> Linear:
        del key
        return Linear(operator, target, loss)

    return sample


@min_norm.register
def _(problem: Linear) -> Float[Array, " columns"]:
    if problem.of_predictions is not square:
        raise TypeError("the minimum-norm interpolator in closed form is known for the square loss only")
    rows, columns = problem.operator.shape
    if rows > columns:
        raise TypeError(f"{rows} equations in {columns} unknowns have no interpolator in general")
    basis, triangular = jnp.linalg.qr(problem.operator.T)  # A = R^T Q^T, so pinv(A) y = Q R^{-T} y
    return basis @ jax.scipy.linalg.solve_triangular(triangular.T, problem.target, lower=True)


@truth.register
def _(problem: Linear) -> Float[Array, " columns"]:
    if problem.made_from is None:
        raise TypeError("these data were not made from a predictor that is kept: `linear.sparse` keeps one")
    return problem.made_from


@orthogonal_part.register
def _(problem: Linear, pred: Float[Array, " columns"]) -> Float[Array, " columns"]:
    basis, _ = jnp.linalg.qr(problem.operator.T)
    pred = pred - basis @ (basis.T @ pred)
    return pred - basis @ (basis.T @ pred)  # twice is enough: the second pass removes what rounding left


@singular_values.register
def _(problem: Linear) -> Targets:
    # of the triangular factor: m x m, with the singular values of A
    return jnp.linalg.svd(jnp.linalg.qr(problem.operator.T, mode="r"), compute_uv=False)
