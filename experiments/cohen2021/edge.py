r"""Where does the sharpness stop?  A small tanh network on digits with random labels.   (Cohen et al. 2021; 2022)

A rule of step eta is unstable on a quadratic whose curvature is above its threshold: with b the momentum,

    gradient descent 2/eta      Nesterov (2 + 2b) / (eta (1 + 2b))      heavy ball (2 + 2b) / eta
    RMSProp 2/eta, and Adam (2 + 2b) / ((1 - b) eta), of P^-1/2 H P^-1/2, P what the rule divides the gradient by.

Training raises the curvature up to the threshold, and there it stays: but heavy ball converges below. Random labels,
because the true ones of 100 digits are fitted before the threshold of these steps is reached.
"""

import numpy as np

import implicit_bias as ib

from .network import hard_to_fit, network, random_labels

MOMENTUM = 0.9
LAWS = {
    "gd": ib.gradient_descent(),
    "nesterov": ib.heavy_ball(MOMENTUM, nesterov=True),
    "heavy ball": ib.heavy_ball(MOMENTUM),
    "rmsprop": ib.rmsprop(0.99),
    "adam": ib.adam(MOMENTUM, 0.99),
}


def cell(*, law, step, key, examples=100, scale=0.5, data="digits", max_steps=4000):
    descent = ib.Descent(step, law=LAWS[law], max_steps=max_steps)
    return ib.Run(random_labels(key, examples, data), network(scale), descent)


# -- what is read from a run -------------------------------------------------------------------------------------------


def threshold(law, step):
    """The curvature above which the rule is unstable on a quadratic."""
    b = MOMENTUM
    momentum = {"nesterov": (2 + 2 * b) / (1 + 2 * b), "heavy ball": 2 + 2 * b, "adam": (2 + 2 * b) / (1 - b)}
    return momentum.get(law, 2) / step


def edge(relative, loss):
    """When the threshold is first met, as a share of the run; curvature and loss over its last half."""
    met, half = np.flatnonzero(relative[1:] >= 1), len(relative) // 2  # at record 0 the adaptive rules divide by nothing
    return {
        "met": (1 + met[0]) / len(relative) if met.size else np.inf,
        "mean": relative[half:].mean(),
        "most": relative[half:].max(),
        "rises": np.mean(np.diff(loss[half:]) > 0),
        "fall": loss[-1] / loss[half],
    }


def sharpened(relative, edge_met):
    """Curvature where the threshold is first met, over that at the start."""
    return relative[round(edge_met * len(relative))] / relative[0] if np.isfinite(edge_met) else np.nan


# -- claims ------------------------------------------------------------------------------------------------------------

GD, ADAPTIVE = "Cohen et al. 2021", "Cohen et al. 2022"
OSCILLATES = "curvature oscillates about the edge by some per cent, and its mean by a tenth of that"


def at_the_edge(ds):
    return hard_to_fit(ds) | {
        "the threshold is met in the first quarter": 0.25 - ds.edge_met,
        "4000 steps or more": ds.max_steps - 4000,
    }


CAPPED = (ib.Status.CAPPED,)
claim = ib.claims_with(accepts=CAPPED, hypotheses=at_the_edge)


def _hovers(law, within, source, because=OSCILLATES, **more):
    return claim(
        id=f"{law.replace(' ', '-')}-hovers-at-the-edge",
        source=source,
        statement=f"{law}: over the last half of training curvature is on average within {within:.0%} of the threshold",
        on=law,
        residual=lambda ds: abs(ds.edge_mean - 1),
        tolerance=lambda ds: within,
        because=because,
        **more,
    )


def _every(id, law, statement, left, right):
    """left <= right in every run."""
    return claim(
        id=id, source=GD, statement=f"{law}: {statement}", on=law, kind=ib.Inequality(), bound=right,
        residual=lambda ds: left(ds) - right(ds), tolerance=lambda ds: 0.0, because="counts and ratios of each run",
    )  # fmt: skip


CLAIMS = [
    _hovers("gd", 0.03, GD),
    _hovers("nesterov", 0.03, GD),
    _hovers("adam", 0.05, ADAPTIVE, f"{OSCILLATES}; P moves"),
    _hovers("rmsprop", 0.15, ADAPTIVE, "P moves along with what it divides: 8 to 12 % above the edge"),
    _hovers("heavy ball", 0.03, f"{GD}, as read", expected="refuted"),
    _every("heavy-ball-is-at-most-at-the-edge", "heavy ball", "over the last half of training no curvature is 2 % above the "
           "threshold; it converges at the edge or below", lambda ds: ds.edge_most, lambda ds: 1.02 + 0 * ds.edge_most),
    claim(
        id="just-above-2-over-eta", source=GD, statement="gd: the mean over the last half of training is above 2/eta",
        on="gd", kind=ib.Ordering(over="seed"), residual=lambda ds: 1 - ds.edge_mean, because="over seeds, at each step",
    ),
    _every("progressive-sharpening", "gd", "curvature doubles, or more, before it meets 2/eta",
           lambda ds: 2.0, lambda ds: ds.sharpened),
    _every("loss-is-not-monotone", "gd", "over the last half of training the loss rises after one record in twenty, or "
           "more", lambda ds: 0.05, lambda ds: ds.edge_rises),
    _every("loss-falls-over-long-times", "gd", "over the last half of training the loss falls",
           lambda ds: ds.edge_fall, lambda ds: 1 + 0 * ds.edge_fall),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

LARGER = {"gd": 0.4, "nesterov": 0.136, "heavy ball": 0.38, "rmsprop": 3e-3, "adam": 1e-2}
LOOKS = {
    "gd": dict(colour="blue"), "nesterov": dict(colour="green", line="--"), "adam": dict(colour="sky", line="--"),
    "heavy ball": dict(colour="vermillion", line=":"), "rmsprop": dict(colour="orange", line="-."),
}  # fmt: skip


def _rules(what):
    """A number along training, for the larger step of each rule."""
    return [
        ib.curves_of(what, x="clock", on=law, of={"step": step}, label=law, looks={None: LOOKS[law]}, accepts=CAPPED)
        for law, step in LARGER.items()
    ]


figure = ib.Figure(
    id="edge",
    panels=[
        ib.panel(*_rules("relative"), ib.level(1, "threshold", on="gd"), x="step", y="curvature / threshold", ylim=(0, 1.6)),
        ib.panel(*_rules("loss"), x="step", y="training loss", log="y"),
    ],
    caption="A tanh network of two hidden layers of 20 on {examples} digits with random labels, the larger step of each "
    "rule, medians and ranges over seeds. Left: the largest eigenvalue that the rule sees, over the threshold "
    "above which it is unstable: all but heavy ball stay there. Right: the loss, which is not monotone there, and falls.",
    claims=["gd-hovers-at-the-edge", "heavy-ball-hovers-at-the-edge", "adam-hovers-at-the-edge"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(law="gd", step=[0.2, 0.4], seed=range(10))
    + ib.grid(law="nesterov", step=[0.09, 0.136], seed=range(6))
    + ib.grid(law="heavy ball", step=[0.25, 0.38], seed=range(6))
    + ib.grid(law="rmsprop", step=[1e-3, 3e-3], seed=range(6))
    + ib.grid(law="adam", step=[1e-3, 1e-2], seed=range(6)),
    observe={"seen": ib.preconditioned_sharpness(tolerance=1e-4), "raw": ib.every(8, ib.sharpness(tolerance=1e-4))},
    predict={
        "threshold": threshold,
        "relative": ib.batched(lambda seen_value, threshold: seen_value / threshold[..., None]),
        "edge": edge,
        "sharpened": sharpened,
    },
    records=ib.linear_records(41),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20), max_steps=20_000)},
)
