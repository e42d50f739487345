r"""Do norms go to infinity?  W_12 = W_21 = 1 and W_22 = 0 are seen, W_11 is not, W = W_N ... W_1.   (Razin & Cohen 2020)

From a balanced start with det W > 0 the determinant stays positive, so that W_11 W_22 > W_12 W_21 at all times: with
the error e = |(W_12 - 1, W_21 - 1, W_22)| of what is seen,

    |W_11| >= (1 - e)^2 / e,        e < 1,

and every norm diverges as the loss vanishes. With det W < 0 the end is finite. Without balance a factor may become singular
on the way, and the determinant changes its sign.

A net of two layers lets det W vanish faster than any power of e: as it is computed, its sign is told where the singular values
are within a factor of 1e12, and nothing is asked beyond.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .figures import diverging


def cell(*, depth, balanced, sign, key, scale=0.3, duration=400.0, stop=1e-7, rtol=1e-10):
    seen = np.zeros((3, 2, 2))
    seen[0, 0, 1] = seen[1, 1, 0] = seen[2, 1, 1] = 1
    problem = ib.matrix.fixed(seen, [[0.0, 1.0], [1.0, 0.0]])(key)
    drawn = scale ** (1 / depth) * jax.random.normal(ib.stream(key, "start"), (depth + 1, 2, 2))
    q, root = jnp.linalg.qr(drawn)[0], (scale * jnp.array([1.0, 0.5])) ** (1 / depth)
    factors = [jnp.where(balanced > 0, (q[j] * root[None]) @ q[j + 1].T, drawn[j]) for j in range(depth)]
    now = jnp.sign(jnp.prod(jnp.stack([jnp.linalg.det(w) for w in factors])))
    factors[-1] = factors[-1] * jnp.stack([jnp.ones(()), now * sign])[None]  # a column of W_1 turned: balanced layers stay so
    flow = ib.Flow(duration, stop=ib.loss_below(stop), rtol=rtol, atol=1e-3 * rtol, max_steps=20_000)
    return ib.Run(problem, ib.DeepLinear(1.0, depth, 2, start=tuple(factors)), flow)


# -- what theory says of a run -----------------------------------------------------------------------------------------


def told(w):
    """det W / |W|^2, up to the record at which it is below 1e-12 first; nan from there on."""
    share = np.linalg.det(w) / np.sum(w * w, (-2, -1))
    return np.where(np.minimum.accumulate(abs(share)) > 1e-12, share, np.nan)


def error(w):
    """e = |(W_12 - 1, W_21 - 1, W_22)|"""
    return np.sqrt((w[:, 0, 1] - 1) ** 2 + (w[:, 1, 0] - 1) ** 2 + w[:, 1, 1] ** 2)


PREDICTED = {
    "told": told, "error": error, "corner": lambda w, told: np.where(np.isfinite(told), abs(w[:, 0, 0]), np.nan),
    "least": lambda error: np.where(error < 1, (1 - error) ** 2 / error, np.nan),
}  # fmt: skip

# -- claims ------------------------------------------------------------------------------------------------------------

SOURCE = "Razin & Cohen 2020, abstract: all norms may be driven to infinity"
claim = ib.claims_with(
    source=f"{SOURCE} (the bound derived)", accepts=(ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED),
    kind=ib.Inequality(), tolerance=lambda ds: 1e4 * ds.rtol, because="the integrator's rtol a step, over thousands of steps",
)  # fmt: skip


def even(ds):
    return {"the start is balanced": 1e-9 - ds.imbalance.isel(record=[0])}


def positive(ds):
    return {r"$\det W > 0$ at first": ds.sign}


def short_of(ds):
    return ds.least - ds.corner


BOUND = r"$|W_{11}| \ge (1 - e)^2 / e$ at every time at which $e < 1$"
CLAIMS = [
    claim(id="determinant-keeps-its-sign", statement=r"$\det W$ keeps its sign from a balanced start", hypotheses=even,
          residual=lambda ds: -ds.sign * ds.told.isel(record=slice(1, None)), tolerance=lambda ds: 0.0,
          because="a sign, as far as it is told"),
    claim(id="corner-goes-to-infinity", statement=f"{BOUND}, from a balanced start with " + r"$\det W > 0$",
          hypotheses=lambda ds: even(ds) | positive(ds), residual=short_of, bound=lambda ds: ds.corner),
    claim(id="corner-goes-to-infinity-without-balance", source=f"{SOURCE}, read of any start",
          statement=f"{BOUND}, from any start with " + r"$\det W > 0$",
          hypotheses=positive, residual=short_of, bound=lambda ds: ds.corner, expected="refuted"),
    claim(id="corner-goes-to-infinity-whatever-the-sign", source=f"{SOURCE}, read of any balanced start",
          statement=f"{BOUND}, from any balanced start",
          hypotheses=even, residual=short_of, bound=lambda ds: ds.corner, expected="refuted"),
]  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(depth=[2, 3], balanced=[0.0, 1.0], sign=[-1.0, 1.0], seed=range(6)),
    observe={"w": ib.predictor(), "imbalance": ib.imbalance},
    predict=PREDICTED,
    records=ib.log_records(80, first=0.05),
    claims=CLAIMS,
    figures=[diverging()],
    sizes={"paper": dict(seed=range(50), depth=[2, 3, 4], duration=4000.0)},
)
