r"""Does U U^T from a small start find the least nuclear norm?  Commuting measurements, and others.   (Gunasekar et al. 2017)

The flow from U_0 = alpha I with commuting A_i ends where log(Z / alpha^2) lies in the span of the A_i, at every alpha:
the entropy's minimiser. As alpha -> 0 that is the solution of least nuclear norm, with an error like alpha^(2 delta),
delta the slack of the dual certificate: slow where the certificate is nearly tight. X is made with one. Of other A_i the
same was conjectured; with as few measurements as here, a small start finds a matrix of rank 1 that fits instead.
"""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

theory = ib.theory.sensing

ALL = 64


def cell(
    *, operator, scale, key, slack=0.2, size=8, rank=2, max_time=5_000.0, stop=1e-20, rtol=1e-10, atol=1e-13
):
    # the fewest that tell the matrices on the range of X apart: with more, the flow is slow to settle between them
    draw, measurements = {
        "commuting": (ib.matrix.commuting, rank),
        "certified": (ib.matrix.certified, rank * (rank + 1) // 2),
    }[operator]
    problem = draw(size, rank, measurements, slack=slack)(key)
    flow = ib.Flow(max_time=max_time, stop=ib.loss_below(stop), rtol=rtol, atol=atol)
    return ib.Run(problem, ib.Symmetric(scale, size, jnp.eye(size)), flow)


def _log(z):
    values, vectors = jnp.linalg.eigh(z)
    return (vectors * jnp.log(jnp.maximum(values, jnp.finfo(z.dtype).tiny))[None, :]) @ vectors.T


def log_z(snapshot):
    """log Z, as a vector with the same inner products"""
    return ib.matrix.half(_log(snapshot.pred))


def measured(snapshot):
    """A_i, as vectors with the same inner products. A fact."""
    return snapshot.problem.operator


def eigenvalues(snapshot):
    """b_i of commuting A_i = Q diag(b_i) Q^T, those on the range of X first. A fact."""
    problem = snapshot.problem
    matrices = jnp.stack([problem.backprojection(e) for e in jnp.eye(problem.operator.shape[0])])
    _, basis = jnp.linalg.eigh(matrices[-1])  # of distinct eigenvalues, as they are drawn
    on = jnp.sum((problem.left.T @ basis) ** 2, axis=0)
    basis = basis[:, jnp.argsort(-on)]
    return jnp.stack([jnp.sum(basis * (a @ basis), axis=0) for a in matrices])


# -- what theory says of a run -----------------------------------------------------------------------------------------


def outside(log_z, measured, scale, size):
    """The part of log(Z / alpha^2) outside the span of the A_i, over the whole."""
    unit = np.equal(*np.triu_indices(int(size)))
    log = log_z[-1] - 2 * np.log(scale) * unit
    basis, _ = np.linalg.qr(measured.T)
    return np.linalg.norm(log - basis @ (basis.T @ log)) / np.linalg.norm(log)


def delta(operator, eigenvalues, rank):
    """The slack of the best certificate, by linear programming, of measurements that commute."""
    return theory.certificate_slack(eigenvalues, int(rank)) if operator == "commuting" else np.nan


def expected(operator, eigenvalues, rank, scale):
    """|Z - X| / |X| to leading order in alpha, and the next order over it, of measurements that commute."""
    if operator != "commuting":
        return {"error": np.nan, "next": np.nan}
    return dict(zip(("error", "next"), theory.small_start_error(eigenvalues, int(rank), float(scale))))


PREDICTED = {
    "outside": outside, "delta": delta, "expected": expected,
    "least_eigenvalue": lambda spectrum: np.min(spectrum[-1]),
    "second": lambda spectrum: spectrum[-1, 1] / spectrum[-1, 0],
}  # fmt: skip

# -- claims ------------------------------------------------------------------------------------------------------------

SOURCE = "Gunasekar et al. 2017"
claim, otherwise = ib.claims_with(on="commuting"), ib.claims_with(on="certified", expected="refuted")


def _final_error(ds):
    return ib.curves.last(ds.error)


def _straight(ds):
    """The error to the power that makes it proportional to alpha."""
    return _final_error(ds) ** (1 / (2 * ds.delta))


def _small(ds):
    return {r"$\alpha \le 0.01$": np.log(1.001e-2) - np.log(ds.scale)}


def _smallest_is_small(ds):
    return {r"the smallest $\alpha \le 0.01$": np.log(1.001e-2) - np.log(ds.scale.min())}


CLAIMS = [
    claim(
        id="log-in-the-span-of-the-measurements",
        source=f"{SOURCE}, Theorem 1 (derived: at every alpha)",
        statement=r"for commuting $A_i$ the flow from $\alpha I$ ends with $\log(Z / \alpha^2)$ in the span of the "
        "$A_i$",
        residual=lambda ds: ds.outside,
        tolerance=lambda ds: 1e3 * (ds.rtol + ds.atol / np.sqrt(ds.least_eigenvalue)) + 1e-15 / ds.least_eigenvalue,
        because="up to 1,000 steps within rtol |U| + atol; rounding of Z, over its least eigenvalue, in the logarithm of that",
    ),
    otherwise(
        id="log-in-the-span-without-commuting",
        source=f"{SOURCE}, Theorem 1 without its hypothesis",
        statement="the same for $A_i$ that do not commute",
        residual=lambda ds: ds.outside,
        tolerance=lambda ds: 1e-5,
        because="as for commuting ones",
    ),
    claim(
        id="least-nuclear-norm",
        source=f"{SOURCE}, Theorem 1 (leading order derived)",
        statement=r"for commuting $A_i$, $Z$ tends to the solution $X$ of least nuclear norm as $\alpha \to 0$: $|Z - "
        r"X|$ is the sum in squares of powers of $\alpha$, from $\alpha^{2 \delta}$ on, that the certificate gives",
        hypotheses=lambda ds: {r"next order $\le 1/2$": 0.5 - ds.expected_next},
        residual=lambda ds: abs(_final_error(ds) / ds.expected_error - 1),
        tolerance=lambda ds: ds.expected_next + 100 * np.sqrt(ds.stop) / ds.expected_error,
        because="the next order, |W|^2 |l_off|; what a loss at the stop leaves of Z",
    ),
    claim(
        id="least-nuclear-norm-rate",
        source=f"{SOURCE}, Theorem 1 (rate derived)",
        statement=r"for commuting $A_i$, $|Z - X|^{1/2\delta}$ is proportional to $\alpha$, $\delta$ the slack of the "
        "best certificate",
        kind=ib.Exponent(against="scale", value=1.0, within=0.15),
        hypotheses=_small,
        residual=_straight,
        because="the next eigenvalue off X is smaller by a power of alpha that may be small",
    ),
    otherwise(
        id="least-nuclear-norm-conjecture",
        source=f"{SOURCE}, the conjecture",
        statement=r"for $A_i$ that do not commute, $Z$ tends to the solution of least nuclear norm as $\alpha \to 0$: "
        r"$|Z - X| \le |X|/10$",
        kind=ib.Inequality(),
        hypotheses=lambda ds: {r"the smallest $\alpha$": 1.001 * float(ds.scale.min()) - ds.scale} | _smallest_is_small(ds),
        residual=_final_error,
        tolerance=lambda ds: 0.1,
        because="what commuting ones give at that alpha",
    ),
    otherwise(
        id="rank-one-instead",
        source=f"{SOURCE}, the conjecture (what is seen instead)",
        statement=r"for these $A_i$, $\sigma_2(Z) / \sigma_1(Z)$ tends to zero as $\alpha \to 0$, though the least "
        "nuclear norm has rank 2",
        kind=ib.Limit(against="scale"),
        hypotheses=lambda ds: _small(ds) | {r"measurements $\le n$": ds["size"] - ds["rank"] * (ds["rank"] + 1) / 2},
        residual=lambda ds: ds.second,
        tolerance=lambda ds: 1e-2,
        because="seen down to alpha = 1e-4; three measurements leave room for many matrices of rank 1",
        expected="supported",
    ),
    claim(
        id="large-start-is-not-least-nuclear",
        source=f"{SOURCE}, the role of small initialisation (control)",
        statement=r"from $\alpha = 1$ the error is at least three times that of the smallest start",
        kind=ib.Inequality(),
        hypotheses=lambda ds: {r"$\alpha = 1$": np.log(ds.scale) + 1e-9} | _smallest_is_small(ds),
        residual=lambda ds: 3 * ib.curves.at_smallest(_final_error(ds), "scale") - _final_error(ds),
        tolerance=lambda ds: 0.0,
        because="a factor of three",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------

SERIES = dict(x="scale", by="slack")

figure = ib.Figure(
    id="least-nuclear-norm",
    panels=[
        ib.panel(
            ib.curves_of(
                "error", on="commuting", name=r"commuting $A_i$, $\delta = {:g}$",
                theory="expected_error", theory_label="leading order, derived", **SERIES,
            ),
            ib.curves_of("error", on="certified", name=r"others, $\delta = {:g}$", open=True, **SERIES),
            x=r"size of the start $\alpha$", y=r"$|Z - X| / |X|$ at the end of the flow", log="xy",
        ),
        ib.panel(
            ib.runs_of(_straight, on="commuting", name=r"$\delta = {:g}$, one run", **SERIES),
            ib.guide(1.0, "slope 1", on="commuting", series="each", through="first"),
            x=r"size of the start $\alpha$", y=r"$(|Z - X| / |X|)^{1/2\delta}$", log="xy",
        ),
    ],
    caption="Distance of the flow's limit from the solution X of least nuclear norm, against the size of the start "
    "alpha I; delta is the slack of the certificate of X. Left: for commuting measurements it tends to zero with alpha, "
    "slowly where the certificate is nearly tight, as the leading order says; for the others it does not, and the limit has rank 1 (median and range "
    "over seeds). Right: for commuting ones the error is the power alpha^(2 delta), delta found by linear programming.",
    claims=["least-nuclear-norm", "least-nuclear-norm-rate", "least-nuclear-norm-conjecture", "rank-one-instead"],
)  # fmt: skip

axes = dict(seed=range(4), slack=[0.2, 0.5], scale=ib.logspace(1e-4, 1, 9))
study = ib.Study(
    cell=cell,
    grids=ib.grid(operator="commuting", **axes) + ib.grid(operator="certified", **axes),
    facts={"measured": measured, "eigenvalues": eigenvalues, "least": ib.truth_least},
    observe={"error": ib.relative_error, "spectrum": ib.spectrum(ALL), "log_z": log_z},
    predict=PREDICTED,
    records=ib.log_records(3),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(50), slack=[0.1, 0.2, 0.5, 1.0], scale=ib.logspace(1e-5, 1, 16))},
)  # fmt: skip
