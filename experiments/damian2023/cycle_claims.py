"""What is claimed of `cycle`: where cycles are, and what the central flow says of them."""

import numpy as np

import implicit_bias as ib

SOURCE, CENTRAL = "Damian et al. 2023, self-stabilisation (derived in closed form)", "Cohen et al. 2024"
GOLDEN = (np.sqrt(5) - 1) / 2
ANY = (ib.Status.CAPPED, ib.Status.STALLED, ib.Status.DIVERGED)
STAYED = (ib.Status.CAPPED, ib.Status.STALLED)


def step(ds):
    return ds.edge / ds.target


def long_enough(ds, multiplier):
    """Slack: what a linear map of that multiplier leaves after all steps is below rounding."""
    return -ds.max_steps * np.log(np.maximum(abs(multiplier), 1e-9)) - 80


def on_the_cycle(ds):
    return {
        r"$\eta y > 1/2$": ds.edge - 0.5 - 1e-6, "the cycle is stable": GOLDEN - ds.edge,
        "long enough to be on it": long_enough(ds, np.sqrt(abs(ds.cycle_multiplier))),
    }  # fmt: skip


def size(ds):
    return 1e-12 * np.sqrt(ds.target)


claim = ib.claims_with(source=SOURCE, on="gd", accepts=STAYED, because="rounding, relative to sqrt(y)", tolerance=size)
counted = ib.claims_with(source=SOURCE, on="gd", accepts=ANY, tolerance=lambda ds: 0.0, because="a count")
of_cycle = ib.claims_with(on="gd", accepts=STAYED, hypotheses=on_the_cycle, source=f"{CENTRAL}, corrected")
CLAIMS = [
    claim(
        id="converges-below-the-edge", statement=r"$\eta y < 1/2$: $|a| = \sqrt{y}$ at the end",
        hypotheses=lambda ds: {r"$\eta y < 1/2$": 0.5 - 1e-6 - ds.edge, "long enough": long_enough(ds, 1 - 4 * ds.edge)},
        residual=lambda ds: abs(ds.seen_mean - np.sqrt(ds.target)) + ds.seen_half,
    ),
    claim(
        id="two-cycle-in-closed-form", hypotheses=on_the_cycle,
        statement=r"$1/2 < \eta y < (\sqrt{5} - 1)/2$: $|a| = m \pm d$, $m^2 = (3 + 2 \eta y)/8\eta$ and "
        r"$d^2 = (2 \eta y - 1)/8\eta$",
        residual=lambda ds: abs(ds.seen_mean - ds.cycle_m) + abs(ds.seen_half - ds.cycle_d),
    ),
    claim(
        id="no-two-cycle-beyond", kind=ib.Inequality(),
        statement=r"$\eta y > (\sqrt{5} - 1)/2$: $|a|$ is not what it was two steps before",
        hypotheses=lambda ds: {"beyond the cycle": ds.edge - GOLDEN - 1e-4, r"$\eta y \le 1$": 1 - ds.edge},
        residual=lambda ds: 1e-6 * np.sqrt(ds.target) - ds.seen_apart, tolerance=lambda ds: 0.0, because="what is claimed",
    ),
    counted(
        id="stays-up-to-1", statement=r"$\eta y \le 1$: no run diverges",
        hypotheses=lambda ds: {r"$\eta y \le 1$": 1 - ds.edge},
        residual=lambda ds: (ds.status == int(ib.Status.DIVERGED)).astype(float),
    ),
    counted(
        id="diverges-beyond-1", statement=r"$\eta y > 1$: the run diverges (but for a null set)",
        hypotheses=lambda ds: {r"$\eta y > 1$": ds.edge - 1 - 1e-4},
        residual=lambda ds: (ds.status != int(ib.Status.DIVERGED)).astype(float),
    ),
    ib.Claim(
        id="central-flow-rests-at-the-edge", source=f"{CENTRAL} (derived)", on="central", accepts=STAYED,
        statement=r"the central flow ends at $a^2 = (1/\eta + y)/3$ where $\eta y > 1/2$, and else at $y$",
        hypotheses=lambda ds: {"time enough": ds.until * abs(ds.edge - 0.5) - 10},
        residual=lambda ds: ds.seen_end - ds.cycle_central.where(ds.edge > 0.5, np.sqrt(ds.target)),
        tolerance=lambda ds: 100 * ds.rtol * np.sqrt(ds.target), because="what the integrator leaves of a contraction",
    ),
    of_cycle(
        id="mean-gradient-of-a-cycle",
        statement=r"$L'(m) + (d^2/2) L'''(m) = 0$ of the mean $m$ and the variance $d^2$ of a cycle",
        residual=lambda ds: 2 * ds.seen_mean * (ds.seen_mean**2 - ds.target) + 6 * ds.seen_mean * ds.seen_half**2,
        tolerance=lambda ds: 1e-12 * ds.target**1.5, because="rounding, relative to y^(3/2)",
    ),
    of_cycle(
        id="curvature-of-a-cycle", statement=r"$L''(m) + (d^2/6) L''''(m) = 2/\eta$",
        residual=lambda ds: 6 * ds.seen_mean**2 - 2 * ds.target + 2 * ds.seen_half**2 - 2 / step(ds),
        tolerance=lambda ds: 1e-12 * ds.target, because="rounding, relative to y",
    ),
    of_cycle(
        id="variance-is-nine-eighths-of-central", residual=lambda ds: ds.seen_half**2 / ds.cycle_variance - 9 / 8,
        statement=r"$d^2$ is $9/8$ of the variance $(2y - 1/\eta)/9$ of the central flow, at every $\eta y$",
        tolerance=lambda ds: 1e-14 / (ds.edge - 0.5) / (1 - abs(ds.cycle_multiplier)),
        because="rounding of d, relative to d^2; a cycle keeps 1/(1 - |multiplier|) of what each step rounds",
    ),
    of_cycle(
        id="variance-is-that-of-the-central-flow", source=f"{CENTRAL}, read as an equality", expected="refuted",
        statement=r"$d^2 = (2y - 1/\eta)/9$, to 1 %", residual=lambda ds: ds.seen_half**2 / ds.cycle_variance - 1,
        tolerance=lambda ds: 0.01, because="nothing limits it: cycles are known to 1e-12",
    ),
    of_cycle(
        id="mean-is-the-central-flow", source=f"{CENTRAL}, read as an equality", expected="refuted",
        statement=r"$m^2 = (1/\eta + y)/3$, to $10^{-6}$", residual=lambda ds: (ds.seen_mean / ds.cycle_central) ** 2 - 1,
        tolerance=lambda ds: 1e-6, because="nothing limits it: cycles are known to 1e-12",
    ),
    of_cycle(
        id="mean-is-off-by-a-twelfth-of-the-excess", source=f"{CENTRAL}, corrected",
        statement=r"$1 - m^2/a^2 = (2 \eta y - 1)/(8 (1 + \eta y))$ of the $a$ where the central flow rests",
        residual=lambda ds: 1 - (ds.seen_mean / ds.cycle_central) ** 2 - (2 * ds.edge - 1) / (8 * (1 + ds.edge)),
        tolerance=lambda ds: 1e-12, because="rounding",
    ),
]  # fmt: skip
