r"""Lanczos: extreme eigenpairs with a bound on their error, and the tridiagonal matrix that a vector sees.

    tridiagonal(A, v, k)    A Q = Q T + b q e_k^T,   Q^T Q = 1, Q e_1 = v / |v|
    top(A, like, k)         the k first eigenvalues from one end, each within its `bound` of an eigenvalue of A

For a Ritz pair (theta, Q s) the residual |A Q s - theta Q s| is b |e_k^T s|, and there is an eigenvalue of A within it.
`top` stops on that bound, for which matfree's `eigh_partial` has neither the number nor a rule: its count of products is
fixed. The bound underflows far below rounding, and is floored at it.

The basis has few vectors. When it is full, the best Ritz vectors begin the next one (thick restart, Wu and Simon 2000),
with every vector orthogonalised twice against all. Where a step ends in an invariant subspace (b = 0) a random vector,
orthogonal to all, goes on: the matrix splits there, exactly, and neither jit nor the other lanes of a vmap notice.

An eigenvalue that is exactly multiple is seen once by one starting vector. `multiple=True` keeps what it has found, looks
again from a new random direction until nothing is added, and measures the residuals at the end: twice the products or so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.lax import dynamic_index_in_dim, dynamic_update_index_in_dim
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from .._errors import Mistake
from .lapack import one_after_another
from .products import Matvec


class Tridiagonal(NamedTuple):
    """T by its diagonal and what stands beside it; the last of `beside` is the residual b."""

    diagonal: Float[Array, " k"]
    beside: Float[Array, " k"]
    norm: Float[Array, ""]
    """|v|"""

    @property
    def matrix(self) -> Float[Array, "k k"]:
        beside = self.beside[:-1]
        return jnp.diag(self.diagonal) + jnp.diag(beside, 1) + jnp.diag(beside, -1)


class Extreme(NamedTuple):
    """Eigenpairs at one end of a spectrum, the most extreme first."""

    values: Float[Array, " k"]
    vectors: PyTree
    """Like the weights, with an axis of the pairs first."""
    bounds: Float[Array, " k"]
    """There is an eigenvalue within this of each value."""
    converged: Bool[Array, " k"]
    """Whether the bound is within the tolerance."""
    products: Int[Array, ""]


_ORDER = {"largest": lambda values: -values, "smallest": lambda values: values, "magnitude": lambda values: -jnp.abs(values)}
"""The keys by which eigenvalues are sorted: the first come first."""


class _Options(NamedTuple):
    count: int
    size: int
    """Vectors of the basis."""
    kept: int
    """Ritz vectors that begin the next one."""
    end: str
    most: int
    multiple: bool


class _Basis(NamedTuple):
    """Orthonormal rows, zero from `at + 1` on; the projected matrix, zero from `at` on."""

    rows: Float[Array, "size+1 n"]
    projected: Float[Array, "size size"]
    last: Float[Array, ""]
    """b of the last step."""


def top(
    matvec: Matvec,
    like: PyTree,
    count: int = 1,
    *,
    end: str = "largest",
    tolerance: float | None = None,
    products: int = 1000,
    multiple: bool = False,
    start: PyTree | None = None,
    key: Key[Array, ""] | None = None,
) -> Extreme:
    """The `count` first eigenvalues of A from one end, until each bound is below `tolerance` times the largest |value|.

    `end` is "largest", "smallest", or "magnitude" for those of largest size, of either sign.

    `tolerance` is 1e-8 in float64 and 1e-4 in float32 unless given; `products` is the most that may be spent, and what
    has not converged by then says so. `start` is a first guess (the vector of a time before), or one is drawn from
    `key`, or is the same each time. Values of simple eigenvalues are differentiable in what `matvec` has closed over;
    vectors are not.

    >>> a = jnp.diag(jnp.array([3.0, -5.0, 1.0]))
    >>> found = top(lambda v: a @ v, jnp.zeros(3), 2)
    >>> found.values.round(6).tolist()
    [3.0, 1.0]
    >>> float(jax.grad(lambda s: top(lambda v: s * (a @ v), jnp.zeros(3), end="smallest").values[0])(2.0).round(6))
    -5.0
    """
    one_after_another()
    flat, unravel = ravel_pytree(like)
    _check(flat, count)
    if end not in _ORDER:
        raise Mistake("end", f"of a spectrum is {end!r}", f"give one of {', '.join(_ORDER)}")
    first = ravel_pytree(start)[0] if start is not None else _first(flat, key)
    size = min(max(2 * count + 10, 20), flat.size)
    kept = min(count + max(1, (size - count) // 2), size - 1)
    options = _Options(count, size, kept, end, products, multiple)
    tolerance = (1e-8 if flat.dtype == jnp.float64 else 1e-4) if tolerance is None else tolerance
    apply, closed = jax.closure_convert(lambda v: ravel_pytree(matvec(unravel(v)))[0], flat)
    values, vectors, bounds, converged, spent = _extreme(apply, options, closed, first, jnp.asarray(tolerance, flat.dtype))
    return Extreme(values, jax.vmap(unravel)(vectors), bounds, converged, spent)


def tridiagonal(matvec: Matvec, vector: PyTree, steps: int) -> Tridiagonal:
    """The tridiagonal matrix of A in the Krylov space of a vector, at most as large as A itself.

    >>> t = tridiagonal(lambda v: jnp.array([1.0, 2.0, 3.0]) * v, jnp.ones(3), 2)
    >>> [round(float(x), 6) for x in (*t.diagonal, *t.beside, t.norm**2)]
    [2.0, 2.0, 0.816497, 0.57735, 3.0]
    """
    flat, unravel = ravel_pytree(vector)
    _check(flat, 1)
    steps = min(steps, flat.size)
    norm = jnp.linalg.norm(flat)
    basis = _begin(flat, steps)

    def step(at: Array, carry: tuple[_Basis, Array]) -> tuple[_Basis, Array]:
        basis, beside = carry
        basis = _expand(lambda v: ravel_pytree(matvec(unravel(v)))[0], basis, at, at + 1)
        return basis, dynamic_update_index_in_dim(beside, basis.last, at, 0)

    basis, beside = jax.lax.fori_loop(0, steps, step, (basis, jnp.zeros(steps, flat.dtype)))
    return Tridiagonal(jnp.diagonal(basis.projected), beside, norm)


def _first(flat: Array, key: Key[Array, ""] | None) -> Array:
    """A starting vector: drawn from a key, or the same each time."""
    if key is None:
        return _scattered(flat, jnp.zeros((), jnp.int32))
    return jax.random.normal(key, flat.shape, flat.dtype)


def _check(flat: Array, count: int) -> None:
    if not jnp.issubdtype(flat.dtype, jnp.floating):
        raise Mistake("like", f"has weights of {flat.dtype}", "give real numbers in floating point")
    if not 1 <= count <= flat.size:
        raise Mistake("count", f"must be from 1 to {flat.size}, the number of weights, got {count}", "ask for fewer")


def _begin(vector: Array, size: int) -> _Basis:
    norm = jnp.linalg.norm(vector)
    rows = jnp.zeros((size + 1, vector.size), vector.dtype)
    rows = rows.at[0].set(vector / jnp.where(norm > 0, norm, 1))
    return _Basis(rows, jnp.zeros((size, size), vector.dtype), jnp.zeros((), vector.dtype))


def _orthogonal(rows: Array, vector: Array) -> tuple[Array, Array]:
    """A vector less its part along the rows, twice, and its coordinates along them."""

    def less(_: Array, found: tuple[Array, Array]) -> tuple[Array, Array]:
        vector, total = found
        along = rows @ vector
        return vector - along @ rows, total + along

    return jax.lax.fori_loop(0, 2, less, (vector, jnp.zeros(rows.shape[0], rows.dtype)))  # a loop compiles it once


def _scattered(like: Array, number: Array) -> Array:
    """Numbers in [-1, 1] with no pattern: a hash of their places. A generator's take longer to compile than all of this."""
    word = jnp.arange(like.size, dtype=jnp.uint32) * np.uint32(2654435761) + number.astype(jnp.uint32) * np.uint32(40503)
    for _ in range(2):
        word = (word ^ (word >> 16)) * np.uint32(73244475)
    return (word >> 8).astype(like.dtype) / 2**23 - 1


def _fresh(rows: Array, number: Array) -> Array:
    """A unit vector orthogonal to the rows that has nothing else to do with them (0 where they span everything)."""
    vector = _scattered(rows[0], number)
    vector, _ = _orthogonal(rows, vector / jnp.linalg.norm(vector))
    norm = jnp.linalg.norm(vector)
    return jnp.where(norm > 1e-3, vector / norm, 0.0)


def _expand(apply: Callable[[Array], Array], basis: _Basis, at: Array, number: Array) -> _Basis:
    """One vector more: row `at + 1`, and row and column `at` of the projected matrix. `number` tells the calls apart."""
    rows, projected, _ = basis
    image = apply(dynamic_index_in_dim(rows, at, keepdims=False))
    rest, along = _orthogonal(rows, image)
    projected = dynamic_update_index_in_dim(projected, along[:-1], at, 0)
    projected = dynamic_update_index_in_dim(projected, along[:-1], at, 1)
    norm = jnp.linalg.norm(rest)
    least = 10 * jnp.finfo(rows.dtype).eps * jnp.maximum(jnp.linalg.norm(image), jnp.abs(projected).max())
    ended = norm <= least
    unit = rest / jnp.where(ended, 1, norm)
    following = jax.lax.cond(ended, lambda: _fresh(rows, number), lambda: unit)
    return _Basis(dynamic_update_index_in_dim(rows, following, at + 1, 0), projected, jnp.where(ended, 0.0, norm))


class _Search(NamedTuple):
    basis: _Basis
    at: Array
    """Rows of the basis that are Ritz vectors of a basis before."""
    spent: Array
    values: Array
    weights: Array
    """Ritz vectors in the basis: column i is the i-th most extreme."""
    bounds: Array
    looked: Array
    """Values when a new direction was last taken."""
    going: Array


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _extreme(apply, options, closed, first, tolerance):
    """(values, vectors, bounds, converged, products) of the flat operator v -> apply(v, *closed)."""
    size, kept, count = options.size, options.kept, options.count
    rounding = jnp.finfo(first.dtype).eps * (8 + first.size**0.5)  # of a product with n terms
    enough = tolerance / 4 if options.multiple else tolerance  # a new direction forgets residuals

    places, key = jnp.arange(size + 1, dtype=jnp.int32), _ORDER[options.end]

    def applied(v: Array) -> Array:
        return apply(v, *closed)

    def cycle(search: _Search) -> _Search:
        def step(at: Array, basis: _Basis) -> _Basis:
            return _expand(applied, basis, at, 2 * (search.spent * size + at) + 1)

        basis = jax.lax.fori_loop(search.at, size, step, search.basis)
        spent = search.spent + size - search.at
        values, weights = jnp.linalg.eigh(basis.projected, symmetrize_input=False)
        order = jnp.argsort(key(values))
        values, weights = values[order], weights[:, order]
        largest = jnp.abs(values).max()
        bounds = jnp.maximum(basis.last * jnp.abs(weights[-1]), rounding * largest)
        met = jnp.all(bounds[:count] <= enough * largest)
        last_look = search.looked
        if options.multiple:
            anew = met & ~jnp.all(jnp.abs(key(values[:count]) - key(last_look)) <= tolerance * largest)
            last_look = jnp.where(anew, values[:count], last_look)
        else:
            anew = jnp.zeros((), bool)
        at = jnp.where(anew, count, kept).astype(jnp.int32) if size > count else search.at
        going = (anew | ~met) & (spent + size - at <= options.most) & jnp.isfinite(largest) & (size > count)
        ritz = jnp.pad(weights.T, ((0, 1), (0, 0))) @ basis.rows[:size]
        ritz = jnp.where(places[:, None] < at, ritz, 0.0)
        following = basis.rows[size]
        if options.multiple:
            following = jax.lax.cond(anew, lambda: _fresh(ritz, 2 * spent), lambda: following)
        known = jnp.where(places[:size] < at, values, 0.0)
        again = _Basis(dynamic_update_index_in_dim(ritz, following, at, 0), jnp.diag(known), basis.last)
        basis = jax.tree.map(lambda new, old: jnp.where(going, new, old), again, basis)
        return _Search(basis, at, spent, values, weights, bounds, last_look, going)

    none = jnp.zeros((), jnp.int32)
    search = _Search(
        basis=_begin(first, size), at=none, spent=none, values=jnp.zeros(size, first.dtype),
        weights=jnp.zeros((size, size), first.dtype), bounds=jnp.zeros(size, first.dtype),
        looked=jnp.full(count, jnp.inf, first.dtype), going=jnp.ones((), bool),
    )  # fmt: skip
    search = jax.lax.while_loop(lambda search: search.going, cycle, search)
    vectors = search.weights[:, :count].T @ search.basis.rows[:size]
    bounds, values, spent = search.bounds[:count], search.values[:count], search.spent
    largest = jnp.abs(search.values).max()
    if options.multiple:
        residuals = jax.lax.map(applied, vectors) - values[:, None] * vectors
        bounds = jnp.maximum(jnp.linalg.norm(residuals, axis=1), rounding * largest)
        spent = spent + count
    return values, vectors, bounds, bounds <= tolerance * largest, spent


@_extreme.defjvp
def _(apply, options, primals, tangents):
    """d theta_i = <v_i, dA v_i>."""
    found = _extreme(apply, options, *primals)
    values, vectors, bounds, converged, spent = found
    closed, moved = primals[0], tangents[0]

    def rate(v: Array) -> Array:
        return jnp.vdot(v, jax.jvp(lambda closed: apply(v, *closed), (closed,), (moved,))[1])

    def still(x: Array) -> np.ndarray:
        return np.zeros(x.shape, jax.dtypes.float0)

    changes = jax.lax.map(rate, vectors)
    return found, (changes, jnp.zeros_like(vectors), jnp.zeros_like(bounds), still(converged), still(spent))
