r"""Where does the sharpness stop?  A small tanh network on digits with random labels.   (Cohen et al. 2021; 2022)

A rule of step eta is unstable on a quadratic whose curvature is above its threshold: with b the momentum,

    gradient descent 2/eta      Nesterov (2 + 2b) / (eta (1 + 2b))      heavy ball (2 + 2b) / eta
    RMSProp 2/eta, and Adam (2 + 2b) / ((1 - b) eta), of P^-1/2 H P^-1/2, P what the rule divides the gradient by.

Training raises the curvature up to the threshold, and there it stays; but heavy ball of momentum 0.9 fits these data
before. Random labels, because the true ones of 100 digits are fitted before the threshold of these steps is reached.
"""

import numpy as np

import implicit_bias as ib

from .network import hard_to_fit, network, random_labels

LAWS = {
    "gd": lambda momentum, decay: ib.gradient_descent(),
    "nesterov": lambda momentum, decay: ib.heavy_ball(momentum, nesterov=True),
    "heavy ball": lambda momentum, decay: ib.heavy_ball(momentum),
    "rmsprop": lambda momentum, decay: ib.rmsprop(decay),
    "adam": lambda momentum, decay: ib.adam(momentum, decay),
}


def cell(*, law, step, key, examples=100, scale=0.5, momentum=0.9, decay=0.99, data="digits", max_steps=4000):
    descent = ib.Descent(step, law=LAWS[law](momentum, decay), max_steps=max_steps)
    return ib.Run(random_labels(key, examples, data), network(scale), descent)


# -- what is read from a run -------------------------------------------------------------------------------------------


def relative(seen_value, law, step, momentum):
    """The curvature that the rule sees, over the one above which it is unstable on a quadratic."""
    less = {"nesterov": 1 + 2 * momentum, "heavy ball": 1, "adam": 1 - momentum}
    return seen_value * step / ((2 + 2 * momentum) / less[law] if law in less else 2)


def edge(relative, loss):
    """When the threshold is first met, and the growth up to there; curvature and loss over the last half of the run."""
    beyond, half = relative[1:] >= 1, len(relative) // 2  # at record 0 adaptive rules have nothing to divide by
    met = 1 + beyond.argmax()
    return {
        "met": met / len(relative) if beyond.any() else np.inf,
        "grown": relative[met] / relative[0] if beyond.any() else np.nan,
        "mean": relative[half:].mean(), "most": relative[half:].max(),
        "rises": np.mean(np.diff(loss[half:]) > 0), "fall": loss[-1] / loss[half],
    }  # fmt: skip


# -- claims ------------------------------------------------------------------------------------------------------------

GD, ADAPTIVE = "Cohen et al. 2021", "Cohen et al. 2022"
OSCILLATES = "curvature oscillates about the edge by some per cent, and its mean by a tenth of that"


def at_the_edge(ds):
    def of(laws, slack):
        return slack.where(ds.law.isin(laws), np.inf)

    return hard_to_fit(ds) | {
        "the threshold is met in the first quarter": 0.25 - ds.edge_met,
        "4000 steps or more": ds.max_steps - 4000,
        "momentum 0.9 or more": of(["heavy ball", "nesterov", "adam"], ds.momentum - 0.9),
        "$P$ moves slowly: decay 0.99 or more, steps of 0.01 or less": of(
            ["rmsprop", "adam"], np.minimum(ds.decay - 0.99, 0.01 - ds.step)
        ),
    }


CAPPED = (ib.Status.CAPPED,)
claim = ib.claims_with(accepts=CAPPED, hypotheses=at_the_edge)


def _hovers(law, within, source, because=OSCILLATES, **more):
    said = f"over the last half of training curvature is on average within {within:.0%} of the threshold"
    return claim(
        id=f"{law.replace(' ', '-')}-hovers-at-the-edge", source=source, statement=f"{law}: {said}", on=law, because=because,
        residual=lambda ds: abs(ds.edge_mean - 1), tolerance=lambda ds: within, **more,
    )  # fmt: skip


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
        id="just-above-2-over-eta", source=GD, statement=r"gd: the mean over the last half of training is above $2/\eta$",
        on="gd", kind=ib.Ordering(over="seed"), residual=lambda ds: 1 - ds.edge_mean, because="over seeds, at each step",
    ),
    _every("progressive-sharpening", "gd", r"curvature doubles, or more, before it meets $2/\eta$",
           lambda ds: 2.0, lambda ds: ds.edge_grown),
    _every("loss-is-not-monotone", "gd", "over the last half of training the loss rises after one record in twenty, or "
           "more", lambda ds: 0.05, lambda ds: ds.edge_rises),
    _every("loss-falls-over-long-times", "gd", "over the last half of training the loss falls",
           lambda ds: ds.edge_fall, lambda ds: 1 + 0 * ds.edge_fall),
]  # fmt: skip

# -- figure ------------------------------------------------------------------------------------------------------------

LOOKS = {
    "gd": dict(colour="blue"), "nesterov": dict(colour="green", line="--"), "adam": dict(colour="sky", line="--"),
    "heavy ball": dict(colour="vermillion", line=":"), "rmsprop": dict(colour="orange", line="-."),
}  # fmt: skip


def _rules(what):
    """A number along training, for the largest step of each rule."""
    along = dict(x="clock", of={"step": "largest"}, accepts=CAPPED)
    return [ib.curves_of(what, on=law, label=law, looks={None: look}, **along) for law, look in LOOKS.items()]


figure = ib.Figure(
    id="edge",
    panels=[
        ib.panel(*_rules("relative"), ib.level(1, "threshold", on="gd"), x="step", y="curvature / threshold", ylim=(0, 1.6)),
        ib.panel(*_rules("loss"), x="step", y="training loss", log="y"),
    ],
    caption="A tanh network of two hidden layers of 20 on {examples} digits with random labels, the largest step of each "
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
    observe={"seen": ib.preconditioned_sharpness(tolerance=1e-4)},
    predict={"relative": relative, "edge": edge},
    records=ib.linear_records(41),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(seed=range(20), max_steps=20_000)},
)
