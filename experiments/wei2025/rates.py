r"""How fast is weight normalisation where the width is more than the rank?  Exponential, against 1/t.   (Wei et al. 2025)

Flows of f = |Z - M|^2 / 4, M of rank k and least eigenvalue s, from Z = X Theta X^T (X^T X = I, Theta at its best) and from
Z = U U^T, r columns each. Near M (derived):

    X:  off range(X) M decays like exp(-s^2 t),            f like exp(-2 s^2 t), at any r >= k
    U:  an eigenvalue beyond the rank obeys p' = -2 p^2:   p = 1/(1/p_0 + 2 t), so that 2 t |U U^T - M|_F -> sqrt(r - k)
        and f ~ (r - k)/16 t^2 at r > k; at r = k there is none, and f decays like exp(-2 s t), no slower than X for s <= 1.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .figures import ENDED, RATES


def cell(
    *, method, width, key, until=100.0, aligned=0.0, size=8, rank=2, condition=2.0, scale=0.5, stop=1e-18, rtol=1e-10
):
    problem = ib.matrix.population(size, rank, condition=condition)(key)
    flow = ib.Flow(until, stop=ib.loss_below(stop), rtol=rtol, atol=1e-2 * rtol, max_steps=20_000)
    if method == "wn":
        return ib.Run(problem, ib.Stiefel(width, problem.truth), flow)
    drawn = jax.random.normal(ib.stream(key, "columns"), (size, width))
    frame = jnp.linalg.qr(jnp.concatenate([problem.left, drawn[:, rank:]], axis=1))[0]  # eigenvectors of M, and others
    start = aligned * frame[:, :width] + (1 - aligned) * drawn / width**0.5
    return ib.Run(problem, ib.Symmetric(scale, width, start), flow)


def off(snapshot):
    """|Z - M|_F"""
    return jnp.linalg.norm(snapshot.pred - snapshot.problem.truth)


def values(snapshot):
    """the eigenvalues of M"""
    return snapshot.problem.values


# -- what theory says --------------------------------------------------------------------------------------------------


def columns(width, rank):
    """r - k"""
    return int(width) - int(rank)


def aligned_off(clock, values, width, rank, scale):
    """|Z - M|_F of the flow from U_0 = scale times a frame of eigenvectors: each eigenvalue p by itself."""
    clock, first = clock[:, None], scale**2
    within = values / (1 + (values / first - 1) * np.exp(-2 * values * clock))  # p' = 2 p (s - p)
    beyond = max(columns(width, rank), 0) / (1 / first + 2 * clock[:, 0]) ** 2
    return np.sqrt(np.sum((within - values) ** 2, axis=1) + beyond)


PREDICTED = {
    "beyond": columns,
    "scaled": ib.batched(lambda clock, off: 2 * clock * off),
    "scaled_due": lambda beyond: max(beyond, 0) ** 0.5,
    "aligned_off": aligned_off,
    "least": lambda values: values[-1],
}


def rate(ds):
    """Minus the slope of log f between 1e-6 and 1e-16."""
    return -ib.curves.slope(np.log(ds.loss.where((ds.loss < 1e-6) & (ds.loss > 1e-16))), ds.clock, "record")


def seen(ds):
    """Slack: five records of that stretch."""
    return ((ds.loss < 1e-6) & (ds.loss > 1e-16)).sum("record") - 5.0


# -- claims ------------------------------------------------------------------------------------------------------------

SOURCE = "Wei et al. 2025"
claim = ib.claims_with(source=f"{SOURCE}, abstract: methods without weight normalisation (derived)", accepts=ENDED, on="plain")
SEEN = "five records of the decay"


def wide(ds):
    return {"more columns than the rank": ds.beyond - 0.5, "random start": 0.5 - ds.aligned}


CLAIMS = [
    claim(
        id="linear-at-any-width",
        source=f"{SOURCE}, abstract: linear convergence (derived with its rate)",
        statement=r"with weight normalisation $f$ decays like $\exp(-2 s^2 t)$, $s$ the least eigenvalue of $M$",
        on="wn",
        hypotheses=lambda ds: {"no fewer columns than the rank": ds.beyond + 0.5, SEEN: seen(ds)},
        residual=lambda ds: abs(rate(ds) / (2 * ds.least**2) - 1),
        tolerance=lambda ds: 5e-3,
        because="f^(1/2) where the slope is read, 1e-3 at most, and what other eigenvalues leave of it",
    ),
    claim(
        id="plain-is-linear-at-the-right-width",
        statement=r"without it, at $r = k$, $f$ decays like $\exp(-2 s t)$: no slower for $s \le 1$",
        hypotheses=lambda ds: {"$r = k$": 0.5 - abs(ds.beyond), "random start": 0.5 - ds.aligned, SEEN: seen(ds)},
        residual=lambda ds: abs(rate(ds) / (2 * ds.least) - 1),
        tolerance=lambda ds: 5e-3,
        because="f^(1/2) where the slope is read, 1e-3 at most, and what other eigenvalues leave of it",
    ),
    claim(
        id="aligned-eigenvalues",
        statement=r"from an aligned start each eigenvalue of $U U^\top$ goes by itself, $1/(1/p_0 + 2 t)$ beyond the rank",
        hypotheses=lambda ds: {"more columns than the rank": ds.beyond - 0.5, "aligned start": ds.aligned - 1},
        residual=lambda ds: abs(ds.off - ds.aligned_off).max("record"),
        tolerance=lambda ds: 10 * ds.rtol,
        because="integrator at a relative rtol a step, of a flow that contracts",
    ),
    claim(
        id="plain-is-slow-with-its-constant",
        statement=r"without it, at $r > k$, $2 t |U U^\top - M|_F \to \sqrt{r - k}$",
        kind=ib.Limit(against="until", towards="infinity"),
        hypotheses=wide,
        residual=lambda ds: abs(ib.curves.last(ds.scaled) - ds.scaled_due),
        tolerance=lambda ds: 0.02,
        because="1/(2 t p_0) for the smallest first eigenvalue beyond the rank",
    ),
    claim(
        id="plain-falls-like-1/t^2",
        statement=r"without it, at $r > k$, $f$ falls like $t^{-2}$",
        kind=ib.Exponent(against="until", value=-2.0, within=0.1),
        hypotheses=wide,
        residual=lambda ds: ib.curves.last(ds.loss),
        tolerance=None,
        because="over seeds; the next order is 1/t smaller",
    ),
]

study = ib.Study(
    cell=cell,
    grids=ib.grid(method="wn", width=[2, 4], until=150.0, seed=range(6))
    + ib.grid(method="plain", width=[2, 4], aligned=[0.0, 1.0], until=[100.0, 300.0, 1000.0, 3000.0], seed=range(6)),
    facts={"values": values},
    observe={"off": off},
    predict=PREDICTED,
    records=ib.linear_records(61),
    claims=CLAIMS,
    figures=[RATES],
    sizes={"paper": dict(seed=range(30))},
)
