r"""Where does a weight-normalised diagonal net end?  x = w^L or u^L - v^L,  w = r u,  |A x - y|^2 / 2.   (Chou et al. 2023)

Linear measurements of a sparse vector, L = 1 to 4, under the flow with rate c for r. What the flow conserves, p = u exp(r^2/2c) up to
range(A^T), makes its limit that of the plain flow from the start over rho = (r_0/r_inf) exp((r_inf^2 - r_0^2)/2c); at
L = 2 also the minimiser of a potential. Limits are computed from the data by Newton's method on the convex dual. L = 1
is the linear model of Wu et al. 2020.

Tolerances. The integrator keeps each entry to a relative rtol a step, and thousands of steps add up like their root; the
start over rho moves with r by a relative r dr / c, hence the factor 1 + r^2/c.
"""

import numpy as np

import implicit_bias as ib

from . import figures
from .claims import ENDED, SOURCE, on_branches, stacked, truth

theory = ib.theory.diagonal
SAFETY = 2.0


def cell(*, method, branches, depth, scale, key, ratio=1.0, rows=6, columns=20, nonzeros=6, noise=0.0, stop=1e-18, rtol=1e-11):
    signed = branches == "two"
    problem = ib.linear.sparse(rows, columns, nonzeros, noise=noise, nonnegative=not signed)(key)
    inner = ib.Polar(scale) if method == "wn" else ib.Euclidean(scale)
    # entries of any size keep their relative accuracy: the tolerance is relative alone
    flow = ib.Flow(3e4, ratio=ratio, stop=ib.loss_below(stop), rtol=rtol, atol=1e-300, max_steps=3_000)
    return ib.Run(problem, ib.Power(inner, depth, signed), flow)


def size(snapshot):
    """|z|, of a normalised layer r with its sign: at L = 1 it may pass through 0"""
    return ib.size(snapshot) if ib.size.applies_to(snapshot.theta) else ib.layer_size(snapshot)


# -- what theory says of a run: x holds z^L at the end, both branches of a signed net ----------------------------------


def drift(stacked, z, size, depth, ratio, method):
    """|(I - Pi)(p_t - p_0)| / (|p_t| + |p_0|), p as conserved, Pi onto range(A^T); the greatest of the records."""
    p = theory.conserved(z, depth, ratio if method == "wn" else None, size[:, None])
    basis, change = np.linalg.svd(stacked, full_matrices=False)[2], p[1:] - p[0]
    for _ in range(2):
        change = change - change @ basis.T @ basis
    norm = np.linalg.norm(p, axis=-1)
    return np.max(np.linalg.norm(change, axis=-1) / (norm[1:] + norm[0]))


@ib.batched
def plain(stacked, reached, z, depth):
    """w^L at the end of the plain flow from z_0, on the data that the run has reached."""
    return theory.plain_limit(stacked, reached, z[..., 0, :], depth)


@ib.batched
def over_rho(stacked, reached, z, depth, rho):
    """w^L at the end of the plain flow from z_0 / rho, on the data that the run has reached."""
    return theory.plain_limit(stacked, reached, z[..., 0, :] / rho[..., None], depth)


@ib.batched
def minimiser(stacked, reached, z, ratio):
    """The minimiser of the potential of depth 2, at the data that the run has reached."""
    return theory.normalised_limit(stacked, reached, z[..., 0, :] ** 2, ratio)


@ib.batched
def criterion(size, ratio):
    """LM(r^2, r_0^2) - c where r has grown, c - LM where it has shrunk; LM the logarithmic mean."""
    first, end = size[..., 0] ** 2, size[..., -1] ** 2
    return np.sign(end - first) * (ib.theory.weight_normalisation.logarithmic_mean(end, first) - ratio)


def moved(method, x, size, ratio, rtol):
    """What the integrator moves x by."""
    return SAFETY * 1e2 * rtol * (1 + size[-1] ** 2 / ratio if method == "wn" else 1.0) * (1 + np.linalg.norm(x))


PREDICTED = {
    "stacked": stacked,
    "x": lambda z, depth: z[-1] ** depth,
    "reached": lambda stacked, x: stacked @ x,
    "rho": lambda size, ratio, method: theory.magnification(size[0], size[-1], ratio) if method == "wn" else 1.0,
    "drift": drift,
    "plain": plain,
    "over_rho": over_rho,
    "minimiser": minimiser,
    "criterion": criterion,
    "moved": moved,
    "norm": lambda x: np.linalg.norm(x),
    "off_plain": lambda x, plain: np.linalg.norm(x - plain),
    "off_over_rho": lambda x, over_rho: np.linalg.norm(x - over_rho),
    "off_minimiser": lambda x, minimiser: np.linalg.norm(x - minimiser),
    "more": lambda x, plain: np.sum(x - plain),
}

# -- claims ------------------------------------------------------------------------------------------------------------

claim = ib.claims_with(accepts=ENDED, tolerance=lambda ds: ds.moved)

CLAIMS = [
    *on_branches(
        claim(
            id="layer-invariant",
            source=f"{SOURCE}, abstract: key invariants (derived)",
            statement=r"$p = u \exp(r^2/2c)$: $p$ ($L = 1$), $\log p$ ($L = 2$), $p^{-(L-2)}$ ($L \ge 3$) moves inside "
            r"$\operatorname{range}(A^\top)$ only",
            residual=lambda ds: ds.drift,
            tolerance=lambda ds: 1e4 * ds.rtol,
            because="integrator at a relative rtol a step, over thousands of steps that contract",
        ),
        "wn {}",
    ),
    *on_branches(
        claim(
            id="limit-is-plain-from-start-over-rho",
            source=f"{SOURCE}, abstract: the bias persists at large starts (derived)",
            statement=r"$x$ is the limit of the plain flow from $z_0/\rho$, $\rho = (r_0/r) \exp((r^2 - r_0^2)/2c)$, "
            "on the data $A x$",
            residual=lambda ds: ds.off_over_rho,
            because="integrator: 200 rtol (1 + |x|) (1 + r^2/c)",
        ),
        "wn {}",
    ),
    *on_branches(
        claim(
            id="limit-minimises-the-potential-of-depth-2",
            source=f"{SOURCE}, abstract: bias towards sparse solutions (derived)",
            statement=r"$L = 2$: $x$ minimises $\sum x_i \log[(x_i/s)/(x_{0i}/s_0)] + (s - s_0)^2/2c$, $s = |x|_1$, "
            r"at its data $A x$, over $x \ge 0$",
            hypotheses=lambda ds: {"$L = 2$": ib.curves.among(ds.depth, 2)},
            residual=lambda ds: ds.off_minimiser,
            because="as for the limit of the plain flow; the minimiser is found by Newton's method on the convex dual",
        ),
        "wn {}",
    ),
    claim(
        id="plain-limit-minimises-its-potential",
        source="Woodworth et al. 2020 (derived for one branch)",
        statement="the plain flow is at the minimiser, at its data $A x$, of the potential with conjugate "
        r"$\sum w^2/2$",
        on="gd one",
        residual=lambda ds: ds.off_plain,
        because="integrator: 200 rtol (1 + |x|)",
    ),
    claim(
        id="smaller-sum-than-plain-by-the-mean",
        source=f"{SOURCE}, abstract: bias towards sparse solutions (derived)",
        statement=r"$\sum x$ is below the plain flow's from the same start at the data $A x$ iff "
        r"$c < \mathrm{LM}(r^2, r_0^2)$ ($r > r_0$), $c > \mathrm{LM}$ else",
        kind=ib.Inequality(),
        on="wn one",
        residual=lambda ds: ds.more * np.sign(ds.criterion),
        because="as for the limit of the plain flow: a run within its tolerance of a tie may end on either side",
    ),
]

RATIOS = [0.3, 0.55, 1.0, 1.8, 3.0, 5.5, 10.0]
axes = dict(seed=range(3), scale=[0.5, 1.0, 2.0])
study = ib.Study(
    cell=cell,
    grids=ib.grid(method="wn", branches="one", depth=[1.0, 2.0, 3.0, 4.0], **axes, ratio=RATIOS)
    + ib.grid(method="wn", branches="two", depth=[2.0, 3.0], **axes, ratio=RATIOS)
    + ib.grid(method="gd", branches="one", depth=[2.0, 3.0], **axes),
    facts={"operator": ib.operator, "target": ib.target, "truth": truth},
    observe={"z": ib.layer, "size": size},
    predict=PREDICTED,
    records=ib.log_records(6),
    claims=CLAIMS,
    figures=[figures.magnification()],
    sizes={"paper": dict(seed=range(50), scale=ib.logspace(0.2, 3, 8), ratio=ib.logspace(0.1, 10, 9))},
)  # fmt: skip
