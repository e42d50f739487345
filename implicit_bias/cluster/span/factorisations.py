r"""Factorisations of long matrices, part by part: the same program, with none of them gathered in one place.

LAPACK factors one whole matrix on one device. A matrix of n rows and few columns, with its rows in p parts, is

    X = [X_1; ...; X_p],   X_i = Q_i R_i,   [R_1; ...; R_p] = Q' R,   X = blockdiag(Q_1, ..., Q_p) Q' R,

so only the R_i, which are small, meet. The singular values of X are those of R. Both are as exact as LAPACK's own;
the signs of R's rows may be others.

>>> import jax, jax.numpy as jnp
>>> whole = jax.make_jaxpr(lambda x: jnp.linalg.qr(x))(jnp.ones((300, 40)))
>>> q, r = jax.extend.core.jaxpr_as_fun(in_parts(whole, 3))(x := jax.random.normal(jax.random.key(0), (300, 40)))
>>> bool(jnp.allclose(q @ r, x, atol=1e-4)), bool(jnp.allclose(q.T @ q, jnp.eye(40), atol=1e-4))
(True, True)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array, Float

Blocks = Float[Array, "parts rows columns"]
Hold = Callable[[Blocks], Blocks]


def in_parts(program: core.ClosedJaxpr, parts: int, hold: Hold = lambda blocks: blocks) -> core.ClosedJaxpr:
    """The program with its long factorisations in `parts`; `hold` says where the parts lie (it is an identity)."""

    def run(*arguments: Array) -> list[Array]:
        return _evaluate(program, arguments, parts, hold)

    return jax.make_jaxpr(run)(*program.in_avals)


def _evaluate(program: core.ClosedJaxpr, arguments: Any, parts: int, hold: Hold) -> list[Array]:
    jaxpr = program.jaxpr
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*program.consts, *arguments]))

    def value(v: Any) -> Any:
        return v.val if isinstance(v, core.Literal) else known[v]

    for eqn in jaxpr.eqns:
        values = [value(v) for v in eqn.invars]
        if _is_long(eqn, parts):
            results = _factor(eqn, values[0], parts, hold)
        elif (inner := _called(eqn)) is not None and _holds_long(inner, parts):
            results = _evaluate(inner, values, parts, hold)
        else:
            results = _as_it_is(jaxpr, eqn, values)
        known.update(zip(eqn.outvars, results))
    return [value(v) for v in jaxpr.outvars]


def _as_it_is(jaxpr: core.Jaxpr, eqn: Any, values: list[Any]) -> list[Array]:
    given = {v: x for v, x in zip(eqn.invars, values) if not isinstance(v, core.Literal)}
    info = jaxpr.debug_info._replace(arg_names=None, result_paths=None)
    one = jaxpr.replace(constvars=[], invars=[*given], outvars=eqn.outvars, eqns=[eqn], debug_info=info)
    return core.jaxpr_as_fun(core.ClosedJaxpr(one, []))(*given.values())


def _called(eqn: Any) -> core.ClosedJaxpr | None:
    """The program of a jitted call."""
    return eqn.params.get("jaxpr") if eqn.primitive.name in ("jit", "pjit") else None


def _holds_long(program: core.ClosedJaxpr, parts: int) -> bool:
    inner = [(eqn, _called(eqn)) for eqn in program.jaxpr.eqns]
    return any(_is_long(eqn, parts) or (p is not None and _holds_long(p, parts)) for eqn, p in inner)


def _is_long(eqn: Any, parts: int) -> bool:
    """A thin factorisation of a matrix whose parts are still longer than wide."""
    name, asked = eqn.primitive.name, eqn.params
    if name == "qr":
        whole = asked["full_matrices"] or asked.get("pivoting", False)
    elif name == "svd":
        whole = (asked["compute_uv"] and asked["full_matrices"]) or asked.get("subset_by_index") is not None
    else:
        return False
    shape = eqn.invars[0].aval.shape
    if whole or len(shape) != 2:
        return False
    short, long = (shape[1], shape[0]) if name == "qr" else sorted(shape)
    return long % parts == 0 and long // parts >= short


def _factor(eqn: Any, x: Array, parts: int, hold: Hold) -> list[Array]:
    if eqn.primitive.name == "qr":
        return list(_qr(x, parts, hold))
    if not eqn.params["compute_uv"]:
        return [jnp.linalg.svd(_qr(x if x.shape[0] >= x.shape[1] else x.T, parts, hold)[1], compute_uv=False)]
    left, singular, right = _svd(x, parts, hold)
    return [singular, left, right]


def _qr(x: Float[Array, "rows columns"], parts: int, hold: Hold) -> tuple[Array, Array]:
    rows, columns = x.shape
    first, triangles = jnp.linalg.qr(hold(x.reshape(parts, rows // parts, columns)))
    second, triangular = jnp.linalg.qr(triangles.reshape(parts * columns, columns))
    return hold(first @ second.reshape(parts, columns, columns)).reshape(rows, columns), triangular


def _svd(x: Array, parts: int, hold: Hold) -> tuple[Array, Array, Array]:
    if x.shape[0] < x.shape[1]:
        left, singular, right = _svd(x.T, parts, hold)
        return right.T, singular, left.T
    basis, triangular = _qr(x, parts, hold)
    left, singular, right = jnp.linalg.svd(triangular, full_matrices=False)
    return basis @ left, singular, right
