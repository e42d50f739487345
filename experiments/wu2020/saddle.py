r"""Where can the WN flow rest?  Zero loss, or g = 0 with w orthogonal to A^T y: a strict saddle.   (Wu et al. 2020, Lemma 2.3)

Near the saddle, with s = <w, A^T y>, a = |A w|^2 and B = |A^T y|, the flow is linear,

    d/dt (g, s) = [[-c a, c], [B^2, 0]] (g, s),      rate of escape  = (-c a + sqrt(c^2 a^2 + 4 c B^2)) / 2 > 0.

Runs start at g = 1e-8 and s = 0 up to rounding: what grows first is this mode alone. At g = 0, s = 0 the flow is at
rest, and beside it as slow as it is near: dg/dt = c (s - a g) and |dw/dt| <= |g| |A^T (y - A x)|, so that at s = 0

    -dL/dt = (dg/dt)^2 / c + |dw/dt|^2 <= g^2 (c a^2 + B^2)    up to a relative O(g).
"""

import jax
import numpy as np

import implicit_bias as ib

from . import observables
from .claims import SOURCE

LOW, HIGH, END = 1e-5, 1e-3, 5_000.0


def cell(*, scale, ratio, key, rows=6, columns=15, target_norm=2.0, stop=1e-12):
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm)(key)
    pull = problem.operator.T @ problem.target
    drawn = jax.random.normal(key.stream("direction"), (columns,))
    direction = drawn - pull * (pull @ drawn) / (pull @ pull)
    flow = ib.Flow(max_time=END, ratio=ratio, stop=ib.loss_below(stop), rtol=1e-10, atol=1e-16)
    return ib.Run(problem, ib.Polar(scale, direction), flow)


def data_size(snapshot):
    """a = |A w|^2 at the start, from the loss of x = g w: L(x) + L(-x) - 2 L(0) = g^2 a."""
    w = snapshot.theta.w
    losses = [snapshot.problem.loss(size * w) for size in (1.0, -1.0, 0.0)]
    return losses[0] + losses[1] - 2 * losses[2]


# -- what theory says of a run -----------------------------------------------------------------------------------------


def escape_rate(data_size, pull_size, ratio):
    """The positive eigenvalue of the linearised flow."""
    decay = ratio * data_size
    return (-decay + np.sqrt(decay**2 + 4 * ratio * pull_size**2)) / 2


def early(g):
    """The records between LOW and HIGH."""
    return ((abs(g) > LOW) & (abs(g) < HIGH)).astype(float)


def measured_rate(g, clock, early):
    """Slope of log|g| between LOW and HIGH: a line through the records there."""
    inside = early > 0
    t, y = clock[inside], np.log(abs(g[inside]))
    return np.sum((t - t.mean()) * (y - y.mean())) / np.sum((t - t.mean()) ** 2) if inside.sum() > 1 else np.nan


def line(g, clock, escape_rate):
    """|g| at the closed-form rate through the first record above LOW, while it is small."""
    first = np.argmax(abs(g) > LOW)
    with np.errstate(over="ignore"):
        return np.where(abs(g) < 0.5, abs(g[first]) * np.exp(escape_rate * (clock - clock[first])), np.nan)


PREDICTED = {
    "escape_rate": escape_rate,
    "early": early,
    "measured_rate": measured_rate,
    "line": line,
    "off": lambda measured_rate, escape_rate: abs(measured_rate / escape_rate - 1),
}

CLAIMS = [
    ib.Claim(
        id="points-of-S-are-stationary",
        source=f"{SOURCE}, Lemma 2.3 (the converse)",
        statement=r"at a distance $g$ of $S$, with $\langle w, A^\top y \rangle = 0$, "
        r"$(dg/dt)^2/c + |dw/dt|^2 \le g^2 (c a^2 + B^2)$: at $S$ both are 0",
        kind=ib.Inequality(),
        residual=lambda ds: -ds.first_loss_rate / (ds.scale**2 * (ds.ratio * ds.data_size**2 + ds.pull_size**2)),
        tolerance=lambda ds: 1 + 1e-6 + 100 * ds.scale,
        because="the next order in g is relative g |A^T A w| / B; <w, A^T y> is 0 to rounding, 1e-16 against g = 1e-8",
    ),
    ib.Claim(
        id="escape-rate-of-the-saddle",
        source=f"{SOURCE}, Lemma 2.3 (derived: the saddle is strict)",
        statement=r"$\log|g|$ grows at the rate $(-c a + \sqrt{c^2 a^2 + 4 c B^2})/2$ as the flow leaves $g = 0$, "
        r"$\langle w, A^\top y \rangle = 0$",
        hypotheses=lambda ds: {"3 records or more between $10^{-5}$ and $10^{-3}$": ds.early.sum("record") - 3.0},
        residual=lambda ds: ds.off,
        tolerance=lambda ds: 1e-3 + 10 * (ds.scale / LOW) ** 2,
        because="the decaying mode is below (g0/1e-5)^2 there; what the flow bends by is of the order of "
        "s^2 <= (g rate/c)^2",
    ),
    ib.Claim(
        id="the-saddle-is-left",
        source=f"{SOURCE}, Lemma 2.3",
        statement="a run that starts beside the saddle ends with zero loss",
        kind=ib.Inequality(),
        accepts=(ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED),
        hypotheses=lambda ds: {
            r"rate of escape $\times T > 60$": ds.escape_rate * END - 60,
            r"$c \lambda_{\min} T > 60$": ds.ratio * ds.lambda_min * END - 60,
        },
        residual=lambda ds: ib.curves.last(ds.loss),
        tolerance=lambda ds: ds.stop * (1 + 1e-5),
        because="the stop rule; runs that would rest elsewhere end at the cap and count against it",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------

FIFTH = slice(None, None, 5)
one_seed = dict(by="ratio", name="$c = {:.2g}$", of={"scale": "first", "seed": "first"})
figure = ib.Figure(
    id="escape",
    panels=[
        ib.panel(
            ib.runs_of(
                lambda ds: abs(ds.g).isel(record=FIFTH), x=lambda ds: ds.clock.isel(record=FIFTH),
                join=False, **one_seed,
            ),
            ib.theory_of("line", x="clock", theory_label="closed form", **one_seed),
            title="one seed", x="time $t$", y="$|g|$", log="y", xlim=(0, 15), ylim=(3e-9, 8), legend="lower right",
        ),
        ib.panel(
            ib.runs_of("off", x="escape_rate"),
            ib.level(lambda ds: 1e-3 + 10 * (ds.scale / LOW) ** 2, "tolerance"),
            title="all seeds and ratios", log="xy",
            x="rate of escape, closed form", y=r"|slope of $\log|g|$ over it $- 1$|",
        ),
    ],
    caption="Leaving the saddle g = 0, w orthogonal to A^T y. Left: |g| along flows from g = {scale:g} (points, every "
    "fifth record) and the closed-form rate through the first point above 1e-5 (lines). Right: the slope of log|g| "
    "between 1e-5 and 1e-3 over the closed form, {status.count} runs; they differ by {off.largest:.1e} at most.",
    claims=["escape-rate-of-the-saddle"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(scale=[1e-8], seed=range(8), ratio=ib.logspace(0.1, 4, 8)),
    facts={
        "pull_size": observables.pull_size,
        "data_size": data_size,
        "lambda_min": ib.lambda_min,
        "first_loss_rate": observables.loss_rate,
    },
    observe={"g": ib.size},
    predict=PREDICTED,
    records=ib.records_at([*np.linspace(0.1, 40, 400), *np.geomspace(41, END, 40)[:-1]]),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(200), ratio=ib.logspace(0.03, 10, 24))},
)
