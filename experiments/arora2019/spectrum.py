r"""What does a deep linear net conserve, and how do its singular values move?  Z = W_N ... W_1.   (Arora et al. 2019)

Under the flow W_{j+1}^T W_{j+1} - W_j W_j^T is constant from any start and for any loss of Z. Where it is 0, the start is
balanced and every singular value moves by itself, the faster the larger it is,

    ds_r/dt = -N s_r^{2 - 2/N} <grad loss(Z), u_r v_r^T>.

The derivative is measured, by central differences of the recorded singular values, not taken from the law of motion.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib


def cell(*, balanced, depth, key, size=3, rank=1, measurements=6, scale=0.5, duration=4.0, rtol=1e-11):
    problem = ib.matrix.gaussian((size, size), rank, measurements)(key)
    frames = jax.random.normal(ib.stream(key, "frames"), (depth + 1, size, size))
    # W_j = Q_j D Q_{j-1}^T, all with the same D; or Gaussian
    q = jnp.linalg.qr(frames)[0]
    root = (scale * jnp.linspace(1.0, 2.0, size)) ** (1 / depth)
    any_start = scale ** (1 / depth) * frames / np.sqrt(size)
    start = tuple(jnp.where(balanced > 0, (q[j] * root[None]) @ q[j + 1].T, any_start[j]) for j in range(depth))
    return ib.Run(problem, ib.DeepLinear(1.0, depth, size, start=start), ib.Flow(duration, rtol=rtol, atol=1e-3 * rtol))


def singular(snapshot):
    """(s_r, <grad loss(Z), u_r v_r^T>), one in each row"""
    left, s, right = jnp.linalg.svd(snapshot.x)
    slope = jax.grad(snapshot.problem.loss)(snapshot.x)
    return jnp.stack([s, jnp.einsum("ir,ij,rj->r", left, slope, right)])


# -- what theory says of a run -----------------------------------------------------------------------------------------


def moves(singular, clock, depth, rtol):
    """|ds_r/dt + N s_r^{2 - 2/N} <grad, u_r v_r^T>| by central differences, and what these can tell, at every record."""
    depth, (s, along), h = int(depth), np.moveaxis(singular, 1, 0), clock[1] - clock[0]
    due = -depth * s[2:-2] ** (2 - 2 / depth) * along[2:-2]
    second = (s[3:-1] - s[1:-3]) / (2 * h)
    fourth = (s[:-4] - 8 * s[1:-3] + 8 * s[3:-1] - s[4:]) / (12 * h)
    unit = np.max(abs(due))
    off, apart = np.max(abs(fourth - due), -1) / unit, np.max(abs(fourth - second), -1) / unit
    near = np.lib.stride_tricks.sliding_window_view(np.pad(apart, 2, mode="edge"), 5).max(-1)
    seen = {"off": np.where(near < 1e-3, off, np.nan), "told": near + 10 * rtol * np.max(s) / h / unit}
    return {name: np.pad(value, 2, constant_values=np.nan) for name, value in seen.items()}


# -- claims ------------------------------------------------------------------------------------------------------------

ENDED = (ib.Status.CAPPED, ib.Status.STALLED)
claim = ib.claims_with(source="Arora et al. 2019 (derived)", accepts=ENDED)
CLAIMS = [
    claim(
        id="products-are-conserved",
        statement=r"$W_{j+1}^\top W_{j+1} - W_j W_j^\top$ is constant, from any start",
        residual=lambda ds: ds.drift.max("record") / np.maximum(1, ds.sizes_at_first), tolerance=lambda ds: 100 * ds.rtol,
        because="the integrator's rtol a step, over some hundred steps",
    ),
    claim(
        id="singular-values-move-by-themselves",
        statement=r"$s_r' = -N s_r^{2 - 2/N} \langle \nabla L(Z), u_r v_r^\top \rangle$ of a balanced start",
        hypotheses=lambda ds: {"the start is balanced": 1e-9 - ib.curves.last(ds.imbalance.isel(record=[0]))},
        residual=lambda ds: ds.moves_off, tolerance=lambda ds: ds.moves_told,
        because="differences of fourth order are off by less than from those of second; where singular values nearly meet, and "
        "the two are a thousandth of the largest move apart, nothing is asked",
    ),
]  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(balanced=[0.0, 1.0], depth=[2, 4], seed=range(4)),
    facts={"sizes_at_first": ib.imbalance},
    observe={"singular": singular, "imbalance": ib.imbalance, "drift": ib.imbalance_drift},
    predict={"moves": moves},
    records=ib.linear_records(401),
    claims=CLAIMS,
    sizes={"paper": dict(seed=range(50), depth=[2, 3, 4, 6])},
)
