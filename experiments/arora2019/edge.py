r"""Up to which step does descent stay at a deep linear solution?  eta N S^{2 - 2/N} < 2.   (after Arora et al. 2019)

Of all factorisations of X the balanced one is the flattest: its greatest curvature is N S^{2 - 2/N}, S = |X|. A step on
either side of 2 over it, from a balanced solution that is moved a little: below, the loss vanishes again; above, it grows
until it is no longer small, and there is no flatter solution to go to.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

theory = ib.theory.deep_linear


def cell(*, depth, share, key, moved=1e-4, size=3, condition=4.0, max_steps=4000):
    problem = ib.matrix.population((size, size), size, condition=condition)(key)
    root = problem.values ** (1 / depth)
    layers = [problem.left * root[None], *[jnp.diag(root)] * (depth - 2), (problem.right * root[None]).T]
    noise = jax.random.normal(ib.stream(key, "moved"), (depth, size, size))
    start = tuple(w + moved * n for w, n in zip(layers, noise))
    step = 2 * share / theory.curvature(1.0, depth)  # S = 1, of all targets
    return ib.Run(problem, ib.DeepLinear(1.0, depth, size, start=start), ib.Descent(step, max_steps=max_steps))


def grown(loss):
    """log10 of the loss at the end over its first; 300 where it has overflowed."""
    return np.nan_to_num(np.log10(np.maximum(loss[-1], 1e-300) / loss[0]), nan=300.0, posinf=300.0)


# -- claims ------------------------------------------------------------------------------------------------------------

claim = ib.claims_with(
    source="derived", accepts=(ib.Status.CAPPED, ib.Status.STALLED, ib.Status.DIVERGED, ib.Status.ESCAPING),
    kind=ib.Inequality(), because="what is claimed",
)  # fmt: skip


def time_enough(ds):
    """The sharpest direction's factor a step, |1 - 2 share|, makes e^60 of the loss, or e^-60, in a run (share near 1)."""
    return {"steps enough to tell": ds.max_steps * abs(ds.share - 1) - 15}


CLAIMS = [
    claim(
        id="stable-below-the-threshold",
        statement=r"for $\eta N S^{2 - 2/N} < 2$ the loss falls to a millionth, from near the balanced solution",
        hypotheses=lambda ds: {r"$\eta N S^{2 - 2/N} < 2$": 1 - ds.share, "at least a tenth of that": ds.share - 0.1}
        | time_enough(ds),
        residual=lambda ds: ds.grown + 6, tolerance=lambda ds: 0.0,
    ),
    claim(
        id="unstable-above-the-threshold",
        statement=r"for $\eta N S^{2 - 2/N} > 2$ the loss does not fall below its first value, from near the balanced solution",
        hypotheses=lambda ds: {r"$\eta N S^{2 - 2/N} > 2$": ds.share - 1.000001} | time_enough(ds),
        residual=lambda ds: -ds.grown, tolerance=lambda ds: 0.0,
    ),
]  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(depth=[2, 4], seed=range(4), share=[0.5, 0.9, 0.98, 1.02, 1.1]),
    predict={"grown": grown},
    records=ib.log_records(10),
    claims=CLAIMS,
    sizes={"paper": dict(seed=range(50), depth=[2, 3, 4, 6])},
)
