r"""Matrix sensing: a matrix Z from y = A(X), A(Z)_i = <A_i, Z>, with the loss (weight / 2) |A(Z) - y|^2.

Samplers are functions that return functions; `shape` is (n1, n2), or one number n where X and every predictor are
symmetric positive semidefinite. A is scaled so that E A*A = I, and the truth X is built backwards from its spectrum,
X = L diag(s) R^T with s from 1 down to 1/condition.

    gaussian(shape, rank, measurements)      A_i Gaussian (symmetrised where X is), over sqrt(measurements)
    population(shape, rank)                  A*A = I: infinitely many measurements; no A is stored
    completion(shape, rank, measurements)    A_i shows one entry of Z, drawn without replacement
    commuting(size, rank, measurements)      A_i = Q diag(b_i) Q^T, and X of least nuclear norm, with a certificate
    certified(size, rank, measurements)      the same certificate; the other A_i do not commute
    fixed(matrices, truth)                   given data; the truth may be 0

The weight is 1 for the loss |A(Z) - y|^2 / 2, and 1/2 for symmetric predictors: the loss |A(Z) - y|^2 / 4, of which
U' = U + mu A*(y - A(U U^T)) U is a step of gradient descent for Z = U U^T. `fixed` takes 1/2 for a symmetric truth, a
number (1 x 1) among them, unless it is given a weight.

A is stored as it was drawn, [m, n1 n2]. `condense` finds the same loss with fewer numbers:

    symmetric predictors    <A_i, Z> from the n(n+1)/2 entries on and above the diagonal, sqrt(2) off it
    A = Q R, m > unknowns   |A z - y|^2 = |R z - Q^T y|^2 + |y - Q Q^T y|^2, so that a step does not know of m

>>> problem = gaussian(6, rank=1, measurements=40)(0)
>>> smaller, name = condense(problem, symmetric=True)
>>> name, smaller.operator.shape, bool(abs(problem.loss(jnp.eye(6)) - smaller.loss(jnp.eye(6))) < 1e-5)
('half: 36 -> 21 entries, triangular: 40 -> 21 measurements', (21, 21), True)
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._errors import Mistake
from .._keys import SeedKey, stream
from .._types import Requirements, Scalar, ScalarLike, Targets
from .base import AbstractProblem, ProblemSampler, condense, random_frame

Shape = int | tuple[int, int]
MatrixPred = Float[Array, "first second"]
STRIPS, SHORT = 4, 256
"""Strips of a triangular operator with more rows than `SHORT`."""


class MatrixSensing(AbstractProblem):
    """`loss(Z) = weight/2 |A(Z) - y|^2 + rest`, for a known truth X = left diag(values) right^T."""

    operator: Float[Array, "rows unknowns"] | None
    """Rows are vec(A_i), or `half(A_i)`; None for the identity."""
    target: Targets
    left: Float[Array, "first rank"]
    values: Float[Array, " rank"]
    right: Float[Array, "second rank"]
    rest: ScalarLike = 0.0
    weight: float = eqx.field(static=True, default=1.0)
    halved: bool = eqx.field(static=True, default=False)
    upper: bool = eqx.field(static=True, default=False)
    """The operator is upper triangular: of what lies below its diagonal, most is not read."""

    @property
    def shape(self) -> tuple[int, int]:
        return self.left.shape[0], self.right.shape[0]

    @property
    def dimension(self) -> int:
        return self.left.shape[0] * self.right.shape[0]

    @property
    def rank(self) -> int:
        """Of the truth."""
        return self.values.shape[0]

    @property
    def truth(self) -> MatrixPred:
        return (self.left * self.values[None, :]) @ self.right.T

    def predictions(self, pred: MatrixPred) -> Targets:
        """A(Z)."""
        z = half(pred) if self.halved else pred.reshape(-1)
        if self.operator is None:
            return z
        if not self.upper:
            return self.operator @ z
        return jnp.concatenate([self.operator[i:j, i:] @ z[i:] for i, j in self._strips])

    @property
    def _strips(self) -> list[tuple[int, int]]:
        """Rows of a triangular operator that are multiplied together: of n strips, (n - 1)/2n of the products are spared."""
        rows = len(self.target)
        ends = [rows * k // STRIPS for k in range(STRIPS + 1)]
        return list(itertools.pairwise(ends)) if rows > SHORT else [(0, rows)]

    def backprojection(self, residual: Targets | None = None) -> MatrixPred:
        """A*(r); A*(y), which is A*A(X), if no r is given."""
        r = self.target if residual is None else residual
        if self.operator is None:
            z = r
        elif self.upper:
            z = sum(jnp.pad(self.operator[i:j, i:].T @ r[i:j], (i, 0)) for i, j in self._strips)
        else:
            z = self.operator.T @ r
        return whole(z, self.shape[0]) if self.halved else z.reshape(self.shape)

    def loss(self, pred: MatrixPred) -> Scalar:
        residual = self.predictions(pred) - self.target
        return 0.5 * self.weight * jnp.sum(residual * residual) + self.rest

    def relabelled(self, change: Callable[[Targets], Targets]) -> MatrixSensing:
        return dataclasses.replace(self, target=change(self.target))

    def requirements(self) -> Requirements:
        held = [self.target, self.values] + ([] if self.operator is None else [self.operator])
        finite = jnp.stack([jnp.all(jnp.isfinite(x)) for x in held]).all()
        asked: Requirements = {("A, y", "hold a number that is not finite", "clean the data"): finite}
        if self.rank:
            asked["condition", "of the truth is below 1 or infinite", "give a number of at least 1"] = (
                self.values[-1] > 0
            ) & (self.values[0] >= self.values[-1])
        return asked


# -- symmetric matrices as vectors ---------------------------------------------------------------------------------


def _above(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the entries on and above the diagonal lie in vec(Z), and their weights."""
    i, j = np.triu_indices(size)
    return i * size + j, np.where(i == j, 1.0, np.sqrt(2.0))


def half(matrices: Float[Array, "*stack size size"]) -> Float[Array, "*stack entries"]:
    """Symmetric matrices as vectors with the same inner products: off the diagonal, sqrt(2) times the upper entry."""
    place, weight = _above(matrices.shape[-1])
    flat = matrices.reshape(*matrices.shape[:-2], -1)
    weight = jnp.asarray(weight, flat.dtype).reshape((1,) * (flat.ndim - 1) + (-1,))
    return flat[..., place] * weight


def whole(entries: Float[Array, " entries"], size: int) -> Float[Array, "size size"]:
    """The symmetric matrix of a vector made by `half`."""
    place, weight = _above(size)
    inverse = np.zeros(size * size, dtype=int)
    inverse[place] = np.arange(len(place))
    lower = inverse.reshape(size, size)
    lower = np.triu(lower) + np.triu(lower, 1).T
    return (entries / jnp.asarray(weight, entries.dtype))[lower]


@condense.register
def _(problem: MatrixSensing, symmetric: bool) -> tuple[AbstractProblem, str] | None:
    if problem.operator is None:
        return None  # |Z - X|^2 is all there is to compute
    operator, target, rest, halved, said = problem.operator, problem.target, problem.rest, problem.halved, []
    if symmetric and not halved:
        matrices = operator.reshape(-1, *problem.shape)
        # an antisymmetric part sees nothing of a symmetric Z
        operator, halved = half((matrices + matrices.transpose(0, 2, 1)) / 2), True
        said.append(f"half: {problem.dimension} -> {operator.shape[1]} entries")
    rows, unknowns = operator.shape
    if rows > unknowns:
        basis, operator = jnp.linalg.qr(operator)
        inside = basis.T @ target
        outside = target - basis @ inside
        rest = rest + 0.5 * problem.weight * jnp.sum(outside * outside)
        target = inside
        said.append(f"triangular: {rows} -> {unknowns} measurements")
    if not said:
        return None
    truth = problem.left, problem.values, problem.right
    upper = rows > unknowns or (problem.upper and halved == problem.halved)
    return MatrixSensing(operator, target, *truth, rest, problem.weight, halved, upper), ", ".join(said)


# -- samplers ------------------------------------------------------------------------------------------------------


def _sides(shape: Shape) -> tuple[int, int, bool]:
    if isinstance(shape, int):
        return shape, shape, True
    first, second = shape
    return first, second, False


def _checked(shape: Shape, rank: int, measurements: int = 1) -> None:
    first, second, _ = _sides(shape)
    if not 1 <= rank <= min(first, second):
        raise Mistake(
            "rank", f"must be from 1 to {min(first, second)}, got {rank}", f"X is {first} x {second}: give a lower rank"
        )
    if measurements < 1:
        raise Mistake("measurements", f"must be at least 1, got {measurements}", "give a positive number")


def _truth(shape: Shape, rank: int, condition: ScalarLike, key: SeedKey | int):
    """(left, values, right), with values from 1 to 1/condition, equally spaced in the logarithm."""
    first, second, symmetric = _sides(shape)
    left = random_frame(stream(key, "left frame"), first, rank)
    right = left if symmetric else random_frame(stream(key, "right frame"), second, rank)
    spread = jnp.arange(rank, dtype=float) / max(rank - 1, 1)
    return left, jnp.exp(-spread * jnp.log(condition)), right


def _sensing(operator, truth, shape: Shape) -> MatrixSensing:
    left, values, right = truth
    x = ((left * values[None, :]) @ right.T).reshape(-1)
    weight = 0.5 if isinstance(shape, int) else 1.0
    return MatrixSensing(operator, x if operator is None else operator @ x, *truth, weight=weight)


def gaussian(shape: Shape, rank: int, measurements: int, *, condition: ScalarLike = 1.0) -> ProblemSampler:
    """Independent Gaussian A_i, scaled so that E |A(Z)|^2 = |Z|^2; symmetrised (A + A^T)/2 for a symmetric Z.

    For a symmetric Z, <(A + A^T)/2, Z> = <A, Z>: symmetrising changes A*A and nothing of A(Z).
    """
    _checked(shape, rank, measurements)
    first, second, symmetric = _sides(shape)

    def sample(key: SeedKey | int) -> MatrixSensing:
        matrices = jax.random.normal(stream(key, "operator"), (measurements, first, second)) / np.sqrt(measurements)
        if symmetric:
            matrices = (matrices + matrices.transpose(0, 2, 1)) / 2
        return _sensing(matrices.reshape(measurements, -1), _truth(shape, rank, condition, key), shape)

    return sample


def population(shape: Shape, rank: int, *, condition: ScalarLike = 1.0) -> ProblemSampler:
    """A*A = I: the loss is (weight / 2) |Z - X|^2."""
    _checked(shape, rank)
    return lambda key: _sensing(None, _truth(shape, rank, condition, key), shape)


def completion(shape: Shape, rank: int, measurements: int, *, condition: ScalarLike = 1.0) -> ProblemSampler:
    """`measurements` entries of Z, drawn without replacement (on and above the diagonal of a symmetric Z)."""
    _checked(shape, rank, measurements)
    first, second, symmetric = _sides(shape)
    entries = first * (first + 1) // 2 if symmetric else first * second
    if measurements > entries:
        raise Mistake("measurements", f"must be at most {entries}, got {measurements}", "there are no more entries")

    def sample(key: SeedKey | int) -> MatrixSensing:
        drawn = jax.random.permutation(stream(key, "operator"), entries)[:measurements]
        rows = jnp.eye(entries)[drawn] * np.sqrt(entries / measurements)
        if symmetric:
            rows = jax.vmap(lambda row: whole(row, first))(rows).reshape(measurements, -1)
        return _sensing(rows, _truth(shape, rank, condition, key), shape)

    return sample


def commuting(
    size: int, rank: int, measurements: int, *, slack: ScalarLike = 0.3, condition: ScalarLike = 1.0
) -> ProblemSampler:
    """Commuting A_i = Q diag(b_i) Q^T, with X diagonal in Q and the only solution of least nuclear norm.

    The certificate is A_1 itself: b_1 is 1 on the range of X and at most 1 - slack off it, so that for Z >= 0
    <A_1, Z> = <A_1, X> = tr X gives tr Z >= tr X, with equality only on the range of X.
    """
    return _with_certificate(size, rank, measurements, slack, condition, commute=True)


def certified(
    size: int, rank: int, measurements: int, *, slack: ScalarLike = 0.3, condition: ScalarLike = 1.0
) -> ProblemSampler:
    """As `commuting`, but A_2, A_3, ... are symmetrised Gaussians: X is still the solution of least nuclear norm."""
    return _with_certificate(size, rank, measurements, slack, condition, commute=False)


def _with_certificate(size, rank, measurements, slack, condition, *, commute: bool) -> ProblemSampler:
    _checked(size, rank, measurements)
    need = rank if commute else rank * (rank + 1) // 2
    if measurements < need or rank >= size:
        raise Mistake(
            "measurements",
            f"must be at least {need}, and rank below {size}, got {measurements} and {rank}",
            "fewer do not tell the matrices on the range of X apart",
        )

    def sample(key: SeedKey | int) -> MatrixSensing:
        basis = random_frame(stream(key, "left frame"), size, size)
        _, values, _ = _truth(size, rank, condition, key)
        off = jax.random.uniform(stream(key, "certificate"), (size - rank - 1,), minval=-1.0)
        first = jnp.concatenate([jnp.ones(rank), (1 - slack) * jnp.concatenate([jnp.ones(1), off])])
        others = jax.random.normal(stream(key, "operator"), (measurements - 1, size, size))
        if commute:
            # [measurements, size]: the eigenvalues b_i
            others = jnp.diagonal(others, axis1=1, axis2=2)
            # orthonormal and orthogonal to b_1 on the range of X: no direction there is nearly invisible
            mixed = jax.random.normal(stream(key, "on the range"), (rank, rank)).at[:, 0].set(1.0)
            others = others.at[: rank - 1, :rank].set(jnp.linalg.qr(mixed)[0][:, 1:].T)
            rows = jnp.concatenate([first[None, :], others])
            matrices = (basis[None] * rows[:, None, :]) @ basis.T[None]
        else:
            certificate = (basis * first[None, :]) @ basis.T
            others = (others + others.transpose(0, 2, 1)) / 2
            matrices = jnp.concatenate([certificate[None], others])
        matrices = matrices / np.sqrt(measurements)
        truth = basis[:, :rank], values, basis[:, :rank]
        return _sensing(matrices.reshape(measurements, -1), truth, size)

    return sample


def fixed(matrices: Any, truth: Any, *, weight: float | None = None) -> ProblemSampler:
    """Given A_i and X, as arrays or nested lists, unscaled: y = A(X). The key is not used.

    Without a `weight` it is 1/2 where X is symmetric, and 1 elsewhere.

    >>> float(fixed([[[1.0, 0.0], [0.0, 0.0]]], [[3.0, 0.0], [0.0, 0.0]])(0).target[0])
    3.0
    >>> [float(fixed([[[1.0]]], [[0.0]], weight=w)(0).loss(jnp.array([[2.0]]))) for w in (None, 1.0)]
    [1.0, 2.0]
    """
    matrices, truth = np.asarray(matrices, dtype=float), np.asarray(truth, dtype=float)
    if matrices.ndim != 3 or truth.shape != matrices.shape[1:]:
        raise Mistake("A, X", f"have shapes {matrices.shape} and {truth.shape}", "give m x n1 x n2 and n1 x n2")
    left, values, right = np.linalg.svd(truth, full_matrices=False)
    rank = int((values > values[0] * max(truth.shape) * np.finfo(float).eps).sum())
    if weight is None:
        weight = 0.5 if truth.shape[0] == truth.shape[1] and np.allclose(truth, truth.T) else 1.0
    operator = matrices.reshape(matrices.shape[0], -1)
    data = operator, operator @ truth.reshape(-1), left[:, :rank], values[:rank], right[:rank].T

    def sample(key: SeedKey | int) -> MatrixSensing:
        del key
        return MatrixSensing(*(jnp.asarray(x, dtype=float) for x in data), weight=weight)

    return sample


# -- restricted isometry -------------------------------------------------------------------------------------------


def isometry_defect(problem: MatrixSensing, order: int, *, iterations: int = 30) -> Scalar:
    """A lower bound of the restricted isometry constant: max | |A(Z)|^2 - 1 | over the |Z| = 1 of rank `order` found.

    Found by the truncated power method, Z <- P(A*A Z) and Z <- P((c - A*A) Z), c = |A|^2, P the projection on rank
    `order`; from a Gaussian Z of fixed key. The constant itself is a maximum that no known algorithm finds.
    """
    if problem.operator is None:
        return jnp.zeros_like(problem.target[0])
    top = jnp.linalg.norm(problem.operator, 2) ** 2

    def gram(z: MatrixPred) -> MatrixPred:
        return problem.backprojection(problem.predictions(z))

    def truncated(z: MatrixPred) -> MatrixPred:
        left, values, right = jnp.linalg.svd(z, full_matrices=False)
        z = (left[:, :order] * values[None, :order]) @ right[:order]
        return z / jnp.linalg.norm(z)

    start = jax.random.normal(jax.random.key(0), problem.shape)
    start = truncated(start + start.T if problem.weight == 0.5 else start)

    def best(step) -> Scalar:
        def one(_, at):
            z, worst = at
            z = truncated(step(z))
            seen = problem.predictions(z)
            return z, jnp.maximum(worst, jnp.abs(seen @ seen - 1))

        return jax.lax.fori_loop(0, iterations, one, (start, jnp.zeros_like(top)))[1]

    return jnp.maximum(best(gram), best(lambda z: top * z - gram(z)))


def of_the_first(problem: MatrixSensing, count: ScalarLike) -> MatrixSensing:
    """The problem of the first `count` measurements, scaled anew; the others are zero rows, so that a count is traced.

    >>> problem = gaussian(4, rank=1, measurements=8)(0)
    >>> float(jnp.abs(of_the_first(problem, 3.0).operator[3:]).max())
    0.0
    """
    if problem.operator is None:
        raise Mistake("problem", "has no measurements to choose from", "use gaussian or completion")
    rows = problem.operator.shape[0]
    kept = jnp.where(jnp.arange(rows, dtype=float) < count, jnp.sqrt(rows / count), 0.0)
    truth = problem.left, problem.values, problem.right
    operator, target = kept[:, None] * problem.operator, kept * problem.target
    return MatrixSensing(operator, target, *truth, problem.rest, problem.weight, problem.halved)
