r"""Does l2 SAM learn minor features first?  The larger of two leads from |a f| > rho (f_i + f_j) on.   (Moon et al. 2026)

One example, features f_i > 0, label 1, x = a^2, logistic loss. The gradient is -2 sigma a f, its direction that of a f, and

    a_i' / a_i = 1 + 2 eta sigma f_i (1 - rho f_i / N),        N = |a f|_2, sigma at the perturbed weights:

the difference of two is 2 eta sigma (f_i - f_j) (1 - rho (f_i + f_j) / N). So the larger of two features grows faster iff
N > rho (f_i + f_j), and the one that leads is that nearest to N / 2 rho. From N > rho max f on every entry grows, so does N,
and features lead in the order of their size: from the smallest, if N starts below rho times the sum of the smallest two.
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

from .figures import GROWING, sequence

FEATURES = (1.0, 0.8, 0.6)


def cell(*, start, key, rho=0.05, step=0.02, max_steps=1_000):
    """A random positive a with N = `start` rho."""
    features = jnp.array(FEATURES)
    a = jax.random.uniform(ib.stream(key, "start"), (3,), minval=0.5, maxval=1.5)
    size = start * rho * jnp.linalg.norm(a) / jnp.linalg.norm(a * features)
    problem = ib.linear.fixed(features[None, :], [1.0], loss=ib.logistic)(0)
    law = ib.sharpness_aware(rho)
    return ib.Run(problem, ib.Power(ib.Euclidean(size, a), 2), ib.Descent(step, law=law, max_steps=max_steps))


# -- what is measured at each step -------------------------------------------------------------------------------------


def norm(snapshot):
    """N = |a f|"""
    return jnp.linalg.norm(snapshot.theta.x * snapshot.problem.operator[0])


def rates(before, after):
    """(a' / a of i less that of j; f_i - f_j; N - rho (f_i + f_j)), of all pairs"""
    f, growth = before.problem.operator[0], after.theta.x / before.theta.x
    apart, together = f[:, None] - f[None, :], f[:, None] + f[None, :]
    return growth[:, None] - growth[None, :], apart, norm(before) - before.dynamics.law.rho * together


def off_difference(before, after):
    """a_i' / a_i - a_j' / a_j less 2 eta sigma (f_i - f_j) (1 - rho (f_i + f_j) / N), of all pairs"""
    f, rho, seen = before.problem.operator[0], before.dynamics.law.rho, rates(before, after)
    perturbed = before.theta.x * (1 - rho * f / norm(before))
    slope = jax.nn.sigmoid(-f @ (perturbed * perturbed))
    return jnp.max(abs(seen[0] - 2 * before.dynamics.step * slope * seen[1] * seen[2] / norm(before)))


def against(before, after):
    """By how much the smaller feature of a pair grew faster where N > rho (f_i + f_j), or the larger where it is below"""
    seen = rates(before, after)
    return jnp.max(jnp.where(seen[1] == 0, -jnp.inf, -seen[0] * jnp.sign(seen[1] * seen[2])))


def leading(before, after):
    """For each feature 1 if it leads, and the number of the step if it does"""
    leads = (jnp.arange(3) == jnp.argmax(after.theta.x / before.theta.x)).astype(float)
    return jnp.stack([leads, before.steps.astype(float) * leads])


def nearest_leads(before, after):
    """the feature nearest to N / 2 rho leads"""
    f = before.problem.operator[0]
    nearest = jnp.argmin(abs(f - norm(before) / (2 * before.dynamics.law.rho)))
    return nearest == jnp.argmax(after.theta.x / before.theta.x)


# -- what theory says of a run -----------------------------------------------------------------------------------------


def disorder(led, max_steps):
    """0 if the smallest feature has the first steps, the largest the last ones, and every one has some"""
    (major, middle, minor), (late, _, early) = led
    if min(major, middle, minor) == 0:
        return np.inf
    return abs(early - minor * (minor - 1) / 2) + abs(late - major * (2 * max_steps - 1 - major) / 2)


PREDICTED = {
    "disorder": disorder,
    "first_norm": lambda norm: norm[0],
    "largest": lambda features: np.max(features),
    "minor_absent": lambda led: float(led[0, -1] == 0),
    "first_threshold": lambda features, rho: rho * (np.sort(features[0])[0] + np.sort(features[0])[1]),
    "last_threshold": lambda features, rho: rho * (np.sort(features[0])[-1] + np.sort(features[0])[-2]),
}

# -- claims ------------------------------------------------------------------------------------------------------------

MOON = "Moon et al. 2026, abstract: sequential feature amplification"
claim = ib.claims_with(accepts=GROWING, source="derived")


def growing(ds):
    return {
        r"$N$ starts above $\rho \max f$": ds.first_norm - ds.rho * ds.largest,
        r"it ends above $\rho$ times the largest two": ib.curves.last(ds.norm) - ds.last_threshold,
    }


def small(ds):
    return growing(ds) | {r"$N$ starts below $\rho$ times the sum of the smallest two": ds.first_threshold - ds.first_norm}


CLAIMS = [
    claim(
        id="difference-of-two-rates", residual=lambda ds: ds.off_difference, tolerance=lambda ds: 1e-13,
        because="exact; rounding",
        statement=r"$a_i'/a_i - a_j'/a_j = 2 \eta \sigma (f_i - f_j) (1 - \rho (f_i + f_j) / N)$ at every step",
    ),
    claim(
        id="larger-grows-faster-above-its-threshold", kind=ib.Inequality(), residual=lambda ds: ds.against,
        tolerance=lambda ds: 1e-15, because="rounding of a ratio near 1",
        statement=r"the larger of two features grows faster if $N > \rho (f_i + f_j)$, the smaller if below, at every step",
    ),
    claim(
        id="nearest-feature-leads", residual=lambda ds: 1 - ds.nearest_leads, tolerance=lambda ds: 0.0, because="a count",
        statement=r"the feature nearest to $N / 2 \rho$ grows fastest, at every step",
    ),
    claim(
        id="minor-first-major-last", source=f"{MOON}; with its thresholds (derived)", hypotheses=small,
        residual=lambda ds: ds.disorder, tolerance=lambda ds: 0.0, because="whole numbers",
        statement="the smallest feature leads first, the largest last, and every one for some steps",
    ),
    claim(
        id="minor-features-lead-at-first", source=f"{MOON} (as read: from every start)", hypotheses=growing, expected="refuted",
        residual=lambda ds: ds.minor_absent, tolerance=lambda ds: 0.25, because="a count", kind=ib.Inequality(),
        statement="the smallest feature leads for some steps",
    ),
]

study = ib.Study(
    cell=cell,
    grids=ib.grid(start=[1.05, 1.2, 1.35, 1.5, 1.7, 1.9], seed=range(8)),
    facts={"features": ib.operator},
    observe={
        "norm": norm, "z": ib.layer, "off_difference": ib.worst_change(off_difference), "against": ib.worst_change(against),
        "led": ib.summed(leading), "nearest_leads": ib.always(nearest_leads),
    },
    predict=PREDICTED, records=ib.linear_records(60), claims=CLAIMS, figures=[sequence],
)  # fmt: skip
