r"""How fast does a network learn a noisy line, by large steps and by weight decay?   (Liang et al. 2025, Figure 2)

mean_i (f(x_i) - x_i1)^2 at the training inputs against n, for inputs of the ball of R^d (`training`). Large steps end at the
edge of stability, and in higher dimension at networks that have fitted the noise; decay does not.
"""

import implicit_bias as ib

from .network import ENDS, FLATNESS, SOURCE, norms, number
from .training import along_n, at_dimension, both, by_decay, by_steps, error, large_steps, slopes
from .training import trained as cell


def edge(sharpness_value, step):
    """The mean over the last half of training of lambda_max over 2/eta."""
    half = sharpness_value.shape[-1] // 2
    return sharpness_value[..., half:].mean(-1) * step / 2


# -- claims ------------------------------------------------------------------------------------------------------------

claim = ib.claims_with(source=f"{SOURCE}, Figure 2", accepts=ENDS)
ordering = ib.claims_with(source=f"{SOURCE}, Figure 2", accepts=ENDS, kind=ib.Ordering(over="seed"), because="over seeds")
CLAIMS = [
    FLATNESS,
    claim(
        id="hovers-at-the-edge",
        statement=r"$d \ge 5$, $n \ge 32$ and $6 d$: over the last half of training $\lambda_{\max}$ is on average "
        r"within 3 % of $2/\eta$",
        hypotheses=lambda ds: large_steps(ds, 5, 32) | {r"$n \ge 6 d$": number(ds, "examples") - 6 * ds.dimension},
        residual=lambda ds: abs(ds.edge - 1), tolerance=lambda ds: 0.03, because="it oscillates by some per cent",
    ),
    claim(
        id="hovers-at-the-edge-on-the-line",
        statement=r"$d = 1$, $n \ge 32$: on average $\lambda_{\max}$ is within 3 % of $2/\eta$, too",
        hypotheses=lambda ds: large_steps(ds, 1, 32) | {"$d = 1$": 1 - ds.dimension},
        residual=lambda ds: abs(ds.edge - 1), tolerance=lambda ds: 0.03, because="as above",
        expected="refuted",
    ),
    claim(
        id="not-beyond-the-edge",
        statement=r"$n \ge 32$: in no dimension is the mean $\lambda_{\max}$ 5 % above $2/\eta$", kind=ib.Inequality(),
        hypotheses=lambda ds: large_steps(ds, 1, 32), residual=lambda ds: ds.edge - 1.05,
        bound=lambda ds: 1.05 + 0 * ds.edge, tolerance=lambda ds: 0.0, because="what is claimed",
    ),
    ordering(
        id="decay-separates", statement="at every $d$ and $n$ decay has the smaller error",
        hypotheses=both, residual=lambda ds: by_decay(ds, ds.error) - by_steps(ds, ds.error),
    ),
    ordering(
        id="steps-fit-the-noise", statement=r"$d \ge 3$: large steps leave an error above a quarter of the noise",
        hypotheses=lambda ds: at_dimension(ds, 3), residual=lambda ds: ds.noise**2 / 4 - by_steps(ds, ds.error),
    ),
    ordering(
        id="steps-learn-slower-in-higher-dimension",
        statement=r"by large steps the error falls faster with $n$ on the line than at $d \ge 3$",
        hypotheses=lambda ds: at_dimension(ds, 3) | along_n(ds) | {"$d = 1$ is there": 1 - ds.dimension.min()},
        residual=lambda ds: ib.curves.at(by_steps(ds, slopes(ds)), dimension=1.0) - by_steps(ds, slopes(ds)),
    ),
    ordering(
        id="decay-learns-faster", statement=r"$d \ge 5$: the error falls faster with $n$ by decay than by large steps",
        hypotheses=lambda ds: at_dimension(ds, 5, both) | along_n(ds),
        residual=lambda ds: by_decay(ds, slopes(ds)) - by_steps(ds, slopes(ds)),
    ),
]  # fmt: skip

series = dict(x="examples", by="dimension", name="$d = {:g}$", accepts=ENDS, spread="middle 80 %")
figure = ib.Figure(
    id="rates",
    panels=[
        ib.panel(ib.curves_of("error", of={"decay": "least"}, **series), title=r"steps $\eta = {step:g}$", x="examples $n$",
                 y="mean square of $f - x_1$ at the training inputs", log="xy", ylim=(0.01, 2)),
        ib.panel(ib.curves_of("error", of={"decay": "largest"}, **series), title="decay {decay.largest:g}", x="examples $n$",
                 log="xy", ylim=(0.01, 2), legend=None),
        ib.panel(ib.curves_of(slopes, x="dimension", by="decay", name="decay {:g}", accepts=ENDS, middle="mean", spread="bootstrap"),
                 x="dimension $d$", y="slope of log error against log $n$"),
    ],
    caption="Left and middle: the error against n, medians and the middle 80 % of {seed.count} seeds, noise of deviation "
    "{noise:g}. By large steps the noise is fitted in three dimensions and more, the more so the more examples; by small steps "
    "with decay it is not. Right: slopes along n, means and 95 % by bootstrap over seeds.",
    claims=["decay-separates", "steps-learn-slower-in-higher-dimension", "decay-learns-faster"],
)  # fmt: skip

study = ib.Study(
    cell=cell,
    grids=ib.grid(dimension=[1.0, 2.0, 3.0, 4.0, 5.0], examples=[16, 32, 64], decay=[0.0, 0.1], seed=range(20)),
    observe={"sharpness": ib.sharpness(tolerance=1e-3), "norms": norms, "error": ib.at_end(error)},
    predict={"edge": ib.batched(edge)},
    records=ib.linear_records(9),
    claims=CLAIMS,
    figures=[figure],
    sizes={"paper": dict(dimension=[1.0, 2.0, 3.0, 4.0, 5.0], examples=[32, 64, 128, 256, 512], per_example=4)},
)
