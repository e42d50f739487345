"""Claims of `law`."""

import numpy as np

import implicit_bias as ib

from .given import KNOWN

SOURCE = "Even et al. 2023"
ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED)
KNOWN_TO = "sums of $R$ known to $10^{-6}$"


def known(ds):
    return {KNOWN_TO: KNOWN - ds.rounding}


def small_steps(ds):
    """Steps at which an expansion in them is one, on data that leave a choice."""
    return {
        "gradient descent": ib.curves.among(ds.gradient, "full") - (ds.momentum > 0) * 2,
        r"$|2 \eta g| < 1/4$ at every step": -0.75 - ds.undershoot,
        "two unknowns for each example": ds.columns - 2 * ds.rows,
    }


def positive(ds):
    """-min z'/z is 2 eta g - 1 at beta = 0, where R(p) + R(s) >= 0 up to |2 eta g| = sqrt 2."""
    plain, heavy = ds.momentum == 0, ds.law.isin(["heavy ball"])
    slack = np.sqrt(2) - 1 - ds.undershoot
    return {r"$\beta = 0$ and $|2 \eta g| < \sqrt{2}$, or a heavy ball that turns no sign": slack.where(
        plain, (-ds.undershoot).where(heavy, -1.0))}


claim = ib.claims_with(source=f"{SOURCE}, abstract: an implicit problem at any step (derived)", accepts=ENDED)
small = ib.claims_with(
    accepts=ENDED, hypotheses=small_steps, because="the next order bends the slope at |2 eta g| = 1/4"
)
never = ib.claims_with(
    accepts=ENDED, kind=ib.Inequality(), residual=lambda ds: ds.shrinks_by,
    tolerance=lambda ds: ds.rounding + ds.carried, because="as for the law, and what the momentum carries at the end",
)
CLAIMS = [
    claim(
        id="range-law",
        statement=r"$\log|a_K/b_K| - \log|a_0/b_0| + E_a - E_b$ lies in $\operatorname{range}(A^\top)$, "
        "at whatever step a run ends",
        hypotheses=lambda ds: {"without $E$ it is 1,000 tolerances off": ds.moved_without - 1e3 * ds.rounding},
        residual=lambda ds: ds.moved,
        tolerance=lambda ds: ds.rounding,
        because="rounding of sums: 8 eps a step and 64 eps of |R(p)| over 1 - beta, all over 1 - beta",
    ),
    claim(
        id="range-law-of-the-flow",
        source="the plain flow's law, asked of steps",
        statement=r"$\log|a_K/b_K| - \log|a_0/b_0|$ lies in $\operatorname{range}(A^\top)$",
        hypotheses=known,
        residual=lambda ds: ds.moved_without,
        tolerance=lambda ds: ds.rounding,
        because="as for the law",
        expected="refuted",
    ),
    claim(
        id="gain-law",
        statement=r"$\log|a_K b_K| = \log|a_0 b_0| - E_a - E_b$ for each entry",
        hypotheses=known,
        residual=lambda ds: ds.shrinks_law,
        tolerance=lambda ds: ds.rounding,
        because="as for the law",
    ),
    claim(
        id="limit-with-gain",
        statement=r"the end is the limit of the plain flow from $|z_0| e^{-E}$ on its data $A x$ ($= y$, where it converged)",
        hypotheses=lambda ds: {"limit known to $10^{-6}$": KNOWN - ds.allowed},
        residual=lambda ds: ds.off,
        tolerance=lambda ds: ds.allowed,
        because="rounding of E through the limit, and what the solver leaves of A x through its inverse",
    ),
    small(
        id="plain-limit-is-off-by-the-step",
        source=f"{SOURCE}, abstract: steps that are not small (derived)",
        statement="gradient descent ends at a distance of first order in the step from where the plain flow does",
        kind=ib.Exponent(against="step", value=1.0, within=0.15),
        residual=lambda ds: ds.off_whole,
    ),
    small(
        id="gain-without-shift",
        source=f"{SOURCE}, its gain as remembered (derived, with its order)",
        statement=r"with the gain $|a b|$ alone, and $\log|a/b|$ that of the start, the distance is of second order",
        kind=ib.Exponent(against="step", value=2.0, within=0.15),
        residual=lambda ds: ds.off_unshifted,
    ),
    never(
        id="start-shrinks",
        source=f"{SOURCE} (derived)",
        statement=r"$|a b|$ has grown for no entry: $R \ge 0$ for $p > 0$, and $R(p) + R(s) = -\log|1 - (2 \eta g)^2|$ at "
        r"$\beta = 0$",
        hypotheses=positive,
    ),
    never(
        id="start-shrinks-as-read",
        source='the abstract of a submission on momentum, "initialization mitigation" (as read)',
        statement="$|a b|$ has grown for no entry, whatever the momentum and step",
        hypotheses=known,
        expected="refuted",
    ),
]
