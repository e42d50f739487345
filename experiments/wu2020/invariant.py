"""Is  log|w_perp| + g^2/(2c)  constant?  Under the flow, under descent, and for losses other than the square.   (Wu et al. 2020, Lemma 2.5, App. D)

The gradient of any loss of A x lies in range(A^T), so the argument of Lemma 2.5 holds for each of the four losses:
the flow conserves the invariant to the integrator's tolerance, descent to first order in the step.
"""

import numpy as np

import implicit_bias as ib

from .claims import ENDS_AT_T, SOURCE, WEIGHTS

LOSSES = {"square": ib.square, "log_cosh": ib.log_cosh, "logistic": ib.logistic, "exponential": ib.exponential}
END = 4.0


def cell(*, objective, law, scale, ratio, key, step=1e-2, rows=6, columns=15):
    of_predictions = LOSSES[objective]
    target_norm = 2.0 if objective in ("square", "log_cosh") else None
    problem = ib.linear.gaussian(rows, columns, target_norm=target_norm, loss=of_predictions)(key)
    flow = ib.Flow(max_time=END, ratio=ratio, rtol=1e-11, atol=1e-13)
    descent = ib.Descent(step, ratio=ratio, max_steps=1_000_000)
    return ib.Run(problem, WEIGHTS["rpgd" if law == "rpgd" else "wn"](scale), flow if law == "flow" else descent)


def drift(log_invariant):
    return np.abs(log_invariant - log_invariant[0])


def drift_as_read(log_w_perp, g, ratio):
    """Of log(|w_perp|^2 exp(g^2/2c))."""
    read = 2 * log_w_perp + g**2 / (2 * ratio)
    return np.abs(read - read[0])


claim = ib.claims_with(accepts=ENDS_AT_T)
CLAIMS = [
    claim(
        id="flow-conserves-the-invariant",
        source=f"{SOURCE}, Lemma 2.5 and Appendix D",
        statement=r"$\log|w_\perp| + g^2/(2c)$ is constant under the flow, for every smooth loss of $A x$",
        on="flow",
        residual=lambda ds: ds.drift,
        tolerance=lambda ds: 1e-8,
        because="integrator at rtol 1e-11 over at most a few hundred steps; exact in time",
    ),
    claim(
        id="descent-drifts-by-O(step)",
        source=f"{SOURCE}, Lemma 2.5 under Condition 2.1 (derived)",
        statement="under WN and rPGD descent the invariant drifts in proportion to the step",
        kind=ib.Exponent(against="step", value=1.0, within=0.1),
        on="wn+rpgd",
        residual=lambda ds: ib.curves.last(ds.drift),
        because="first-order methods: at steps of 0.02 and less the next order bends the slope by a few per cent",
    ),
    claim(
        id="squared-norm-invariant-as-read",
        source=f"{SOURCE}, eq. (6), scalar form as the text layer reads",
        statement=r"$|w_\perp|^2 \exp(g^2/(2c))$ is constant under the flow (the exponent that is right is $g^2/c$)",
        on="flow",
        residual=lambda ds: ds.drift_as_read,
        tolerance=lambda ds: 1e-8,
        because="as for the vector form",
        expected="refuted",
    ),
]

# -- figure ------------------------------------------------------------------------------------------------------------

POOLED = ["seed", "ratio", "scale"]


def worst(ds):
    """Drift at each moment over all runs of a loss."""
    return ib.accepted(ds, ds.drift, ENDS_AT_T).max(POOLED)


def per_step(ds):
    """Median over all runs of a loss and a law of the drift at the end, over the step."""
    return (ib.accepted(ds, ib.curves.last(ds.drift), ENDS_AT_T) / ds.step).median(POOLED)


def descent(law, title, **options):
    return ib.panel(
        ib.curves_of(per_step, of={"law": law}, on="wn+rpgd", x="step", by="objective", join=False, accepts=ENDS_AT_T),
        ib.guide(0.0, "first order: a level", series="each", on="wn+rpgd"),
        title=title, x=r"step $\eta$", y="median drift at $t = 4$, over $\\eta$", log="xy", ylim=(0.7, 12), **options,
    )  # fmt: skip


invariant = ib.Figure(
    id="invariant",
    panels=[
        ib.panel(
            ib.curves_of(worst, on="flow", x="clock", by="objective", above=1e-17, accepts=ENDS_AT_T),
            ib.level(1e-8, "tolerance", on="flow"),
            title="flow", x="time $t$", y=r"worst drift of $\log|w_\perp| + g^2/2c$", log="y",
        ),
        descent("wn", "descent, WN"),
        descent("rpgd", "descent, rPGD", legend=None),
    ],
    caption="Lemma 2.5 for each loss of A x. Left: under the flow the invariant drifts by no more than the integrator's "
    "tolerance (worst over seeds, ratios and scales). Middle and right: under descent it drifts in proportion to the step: "
    "the drift over the step (median over the same runs) is a level.",
    claims=["flow-conserves-the-invariant", "descent-drifts-by-O(step)"],
)  # fmt: skip

axes = dict(objective=list(LOSSES), seed=range(4), ratio=[0.3, 1.0, 3.0], scale=[0.3, 1.0])
study = ib.Study(
    cell=cell,
    grids=ib.grid(law="flow", **axes) + ib.grid(law=["wn", "rpgd"], **axes, step=[0.02, 0.01, 5e-3, 2.5e-3]),
    facts={"w_perp": ib.orthogonal_size},
    observe={"log_invariant": ib.log_invariant, "log_w_perp": ib.orthogonal_log, "g": ib.size},
    predict={"drift": drift, "drift_as_read": drift_as_read},
    records=ib.time_records(np.linspace(0, END, 17)),
    claims=CLAIMS,
    figures=[invariant],
    sizes={"paper": dict(seed=range(50), ratio=ib.logspace(0.1, 10, 9), scale=ib.logspace(0.1, 3, 9))},
)
