r"""Observables of classes: how the features of a classifier, what its last matrix sees, are spread about their class means.

With h_i in R^m the features of example i, mu_c the mean of those of class c, m_c = mu_c - mean of mu, C classes and rows
w_c of the last matrix, neural collapse (Papyan, Han and Donoho 2020) is

    NC1  within = tr(S_W S_B^+) / C -> 0      S_W = mean_i (h_i - mu_c)(h_i - mu_c)^T,  S_B = mean_c m_c m_c^T
    NC2  norms  = std |m_c| / mean |m_c| -> 0
         angles = std of cos(m_c, m_d), c != d -> 0;   simplex = mean |cos(m_c, m_d) + 1/(C - 1)| -> 0
    NC3  duality = |W/|W| - M/|M|| -> 0 (Frobenius; rows w_c and m_c), and `duality_centred` with rows w_c less their mean
    NC4  nearest = share of examples whose class by the net is not that of the nearest mean -> 0

S_B has rank C - 1, and its pseudo-inverse is taken there: where the means span less, `within` is infinite.

The features need no name: the last matrix is linear in the output, f_0(x) = <w_0, h(x)> + b_0, so that h(x) = d f_0(x) / d w_0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._errors import Mistake
from ..parameterizations.network import matrices, name_at
from .base import Measure, Snapshot
from .networks import name_of_matrix


def _collapse(h: Float[Array, "examples m"], w: Float[Array, "classes m"], labels: Int[Array, " examples"], said: Array):
    """The six numbers, from features, rows of the last matrix, classes, and the classes that the net says."""
    classes = w.shape[0]
    of_class = jax.nn.one_hot(labels, classes, dtype=h.dtype)  # [examples, C]
    means = (of_class.T @ h) / jnp.sum(of_class, axis=0)[:, None]  # [C, m]
    centred = means - jnp.mean(means, axis=0, keepdims=True)
    spread = h - means[labels]
    _, sizes, axes = jnp.linalg.svd(centred / classes**0.5, full_matrices=False)
    kept = min(classes - 1, h.shape[1])
    along = jnp.mean((spread @ axes[:kept].T) ** 2, axis=0)  # u^T S_W u
    norms = jnp.linalg.norm(centred, axis=1)
    unit = centred / norms[:, None]
    cosines = (unit @ unit.T)[jnp.triu_indices(classes, 1)]
    distance = jnp.sum((h[:, None, :] - means[None, :, :]) ** 2, axis=-1)

    def apart(rows: Array) -> Array:
        return jnp.linalg.norm(rows / jnp.linalg.norm(rows) - centred / jnp.linalg.norm(centred))

    return {
        "within": jnp.sum(along / sizes[:kept] ** 2) / classes,
        "norms": jnp.std(norms) / jnp.mean(norms),
        "angles": jnp.std(cosines),
        "simplex": jnp.mean(jnp.abs(cosines + 1 / (classes - 1))),
        "duality": apart(w),
        "duality_centred": apart(w - jnp.mean(w, axis=0, keepdims=True)),
        "nearest": jnp.mean((jnp.argmin(distance, axis=1) != said).astype(h.dtype)),
    }


def neural_collapse(block: str, unit_axis: int = -1) -> Measure:
    """NC1 to NC4 of a classifier whose last matrix is that of `block`, as `NAME.within`, `.norms`, `.angles`, ... (above).

    Targets are classes, or one-hot. `unit_axis` is the axis of the matrix that counts its outputs: 0 of equinox.
    """

    def measure(snapshot: Snapshot) -> dict[str, Array]:
        problem, theta = snapshot.problem, snapshot.theta
        if problem.outputs is None or problem.outputs < 2:
            how = f"asks for the collapse before {block!r}, and the targets are no classes"
            raise Mistake("observe", how, "give classes, or one-hot ones")
        name = name_of_matrix(theta, block)
        last = matrices(theta)[name]
        w = jnp.moveaxis(last, unit_axis, 0)  # [C, m]

        def first_output(row: Array) -> Array:
            changed = jnp.moveaxis(w.at[0].set(row), 0, unit_axis)
            weights = jax.tree_util.tree_map_with_path(lambda p, a: changed if name_at(p) == name else a, theta)
            return snapshot.parameterization(weights)(problem.inputs)[:, 0]

        labels = problem.targets if problem.classes is not None else jnp.argmax(problem.targets, axis=1)
        said = jnp.argmax(snapshot.pred(problem.inputs), axis=1)
        return _collapse(jax.jacfwd(first_output)(w[0]), w, labels, said)

    return Measure(measure, f"NC1 to NC4 of the features that {block} sees")
