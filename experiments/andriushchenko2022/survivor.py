r"""Which feature does l_inf SAM follow?  The largest that starts above rho; if none does, x goes to 0.   (Moon et al. 2026)

One example, features f_i > 0, label 1, x = a^2, logistic loss: the gradient in a_i is -2 a_i f_i sigma, and its sign that of
-a_i. So the perturbed weights are a_i - rho while a_i > 0, and with sigma that at the perturbed ones

    a_i' - rho = (1 + 2 eta f_i sigma) (a_i - rho):

what is above rho grows, the faster the larger f_i; what is below falls to 0 and stays within 2 eta rho f_i of it.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .figures import GROWING, survivor

FEATURES = (1.0, 0.5, 0.3, 0.2)


def cell(*, scale, ratio, key, largest=1.0, step=0.05, max_steps=4_000):
    """a_i uniform in (1/2, 3/2) times `scale`, rho = `ratio` times it; features 1, .5, .3, .2 times `largest`."""
    start = jax.random.uniform(ib.stream(key, "start"), (4,), minval=0.5, maxval=1.5)
    problem = ib.linear.fixed(largest * jnp.array([FEATURES]), [1.0], loss=ib.logistic)(0)
    net = ib.Power(ib.Euclidean(scale * jnp.linalg.norm(start), start), 2)
    law = ib.sharpness_aware(ratio * scale, order=np.inf)
    return ib.Run(problem, net, ib.Descent(step, law=law, max_steps=max_steps))


def off_shifted(before, after):
    """|a' - rho - (1 + 2 eta f sigma) (a - rho)| over |a| + rho, where a > 0"""
    f, a, rho, step = before.problem.operator[0], before.theta.x, before.dynamics.law.rho, before.dynamics.step
    up = a - rho * jnp.sign(a)
    slope = jax.nn.sigmoid(-f @ (up * up))
    off = after.theta.x - rho - (1 + 2 * step * f * slope) * (a - rho)
    return jnp.max(jnp.where(a > 0, abs(off) / (abs(a) + rho), 0.0))


# -- what theory says of a run -----------------------------------------------------------------------------------------


def survivors(z, features, rho):
    """How many start above rho, the place of the largest feature among them, and how far above it starts, over rho"""
    above = z[0] / rho - 1 if rho > 0 else np.full(z[0].shape, np.inf)
    best = int(np.argmax(np.where(above > 0, features[0], -1.0)))
    return {"count": np.sum(above > 0), "best": best, "clear": above[best], "highest": np.max(np.where(above < 0, above, -1.0))}


def others(x, survivors_best):
    """What is not in the entry of that feature, of |x|_1"""
    return 1 - x[-1, int(survivors_best)] / np.sum(x[-1])


def lag(z, features, rho, step, survivors_best):
    """The greatest log (a_i - rho) / (a_i(0) - rho) of other survivors, over (1 + eta f_j) f_i / f_j times the best one's"""
    f, best = features[0], int(survivors_best)
    alive = (z[0] > rho) & (np.arange(len(f)) != best)
    grown = np.log(np.where(z[0] > rho, (z[-1] - rho) / (z[0] - rho), 1.0))
    most = grown[best] * (1 + step * f[best]) * f / f[best]
    return np.max(np.where(alive, grown / most, -np.inf)) if alive.any() else np.nan


PREDICTED = {
    "rho": lambda scale, ratio: scale * ratio,
    "survivors": survivors, "others": others, "lag": lag,
    "beyond": lambda x, features: 1 - x[-1, np.argmax(features[0])] / np.sum(x[-1]),
    "chatter": lambda z, features, rho, step: np.max(abs(z[-1]) / (2 * step * rho * features[0])) if rho > 0 else np.nan,
    "patience": lambda features, step, max_steps: 0.8 * step * np.min(features) * max_steps,
}  # fmt: skip

# -- claims ------------------------------------------------------------------------------------------------------------

MOON = "Moon et al. 2026, abstract"
claim = ib.claims_with(accepts=GROWING, source=f"{MOON}: to 0 or to any basis vector; with its threshold (derived)")


def survived(ds):
    clear = ds.survivors_clear.where(ds.survivors_count > 0)
    return {r"an $a_i(0)$ is above $\rho$, that of the largest such feature by $\rho / 20$": clear - 0.05}


def dead(ds):
    return {
        r"all $a_i(0)$ are below $\rho$": 0.5 - ds.survivors_count,
        "time to fall from them": ds.patience - 1 + np.log(-ds.survivors_highest),
    }


CLAIMS = [
    claim(
        id="shifted-growth", source="derived", residual=lambda ds: ds.off_shifted, tolerance=lambda ds: 1e-13,
        statement=r"$a_i' - \rho = (1 + 2 \eta f_i \sigma) (a_i - \rho)$ while $a_i > 0$, at every step",
        because="exact; rounding, relative to $|a| + \rho$",
    ),
    claim(
        id="largest-survivor-takes-all", hypotheses=survived, kind=ib.Limit(against="scale", towards="zero"),
        statement=r"for small starts $x / |x|_1$ tends to $e_j$, $j$ the largest feature with $a_j(0) > \rho$",
        residual=lambda ds: ds.others, tolerance=lambda ds: 0.02,
        because="2 %: others are behind by the power $1 - f_i / f_j$ of the growth of $x_j$",
    ),
    claim(
        id="others-lag", source="derived", kind=ib.Inequality(), residual=lambda ds: ds.lag - 1,
        bound=lambda ds: 1 + 0 * ds.lag,
        hypotheses=lambda ds: survived(ds) | {"two survivors or more": ds.survivors_count - 2},
        statement=r"$a_i - \rho$ of a survivor grows at most by the power $(1 + \eta f_j) f_i / f_j$ of what $a_j - \rho$ does",
        tolerance=lambda ds: 1e-9, because="exact for sigma <= 1/2; rounding of logarithms",
    ),
    claim(
        id="nobody-survives", hypotheses=dead, kind=ib.Inequality(), residual=lambda ds: ds.chatter - 1,
        bound=lambda ds: 1 + 0 * ds.chatter, tolerance=lambda ds: 1e-9, because="the bound; rounding",
        statement=r"if all $a_i(0) < \rho$, $x$ tends to 0: $|a_i| \le 2 \eta \rho f_i$ at the end",
    ),
    claim(
        id="follows-the-dominant-feature", source=f"{MOON}, of gradient descent, read for SAM", expected="refuted",
        hypotheses=lambda ds: survived(ds) | {r"$\rho > 0$": ds.ratio - 1e-6}, kind=ib.Inequality(),
        statement="where some feature survives, more than half of $|x|_1$ is in the dominant one",
        residual=lambda ds: ds.beyond - 0.5, tolerance=lambda ds: 0.0, because="what is claimed",
    ),
    claim(
        id="descent-follows-the-dominant-feature", source=f"{MOON}, of gradient descent",
        hypotheses=lambda ds: {r"$\rho = 0$": 1e-9 - ds.ratio}, residual=lambda ds: ds.beyond, tolerance=lambda ds: 0.02,
        statement="for small starts $x / |x|_1$ tends to that of the dominant feature, without a perturbation",
        kind=ib.Limit(against="scale", towards="zero"), because="2 %, as for SAM",
    ),
]

study = ib.Study(
    cell=cell,
    grids=ib.grid(scale=[0.003, 0.01, 0.03, 0.1], ratio=[0.0, 0.6, 0.9, 1.2, 1.6], seed=range(12)),
    facts={"features": ib.operator},
    observe={"x": ib.predictor(), "z": ib.layer, "off_shifted": ib.worst_change(off_shifted)},
    predict=PREDICTED,
    records=ib.log_records(4),
    claims=CLAIMS,
    figures=[survivor],
)
