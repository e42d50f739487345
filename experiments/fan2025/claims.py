"""The claims of this folder."""

import implicit_bias as ib

ENDED = (ib.Status.ESCAPING, ib.Status.CAPPED)
DERIVED = "Fan et al. 2025, derived for any norm"
ROUNDING = dict(tolerance=lambda ds: 1e-12, because="rounding of logarithms and margins below 1000")

claim = ib.claims_with(source=DERIVED, accepts=ENDED, kind=ib.Inequality())


def numbers(ds):
    """A loss that is 0 in floating point has no gradient."""
    return {r"$L \ge 10^{-290}$": ds.loss.min("record") - 1e-290}


def of(ds, objective):
    return {objective: ib.curves.among(ds.objective, objective)} | numbers(ds)


CERTIFIED = claim(
    id="largest-margins-are-certified", source="convex duality", kind=ib.Identity(),
    statement=r"$\gamma$ is known: a matrix of norm 1 has that margin, and a dual point of the same value",
    residual=lambda ds: 1 - ds.largest_least / ds.largest_most,
    tolerance=lambda ds: 1e-5, because="linear and quadratic programs to 1e-12; SLSQP on a smoothed nuclear norm to 3e-6",
)  # fmt: skip

BOUNDS = [
    CERTIFIED,
    claim(
        id="loss-falls-by-the-dual-norm", **ROUNDING,
        statement=r"$\log L' \le \log L - \eta D (\sum w) / L + \eta^2 R^2 / 2$ at every step, $R = \max |b|_*$ in the dual "
        r"norm; logistic: the last term times $e^{\eta R}$",
        hypotheses=numbers, residual=lambda ds: ds.over,
    ),
    claim(
        id="loss-falls-by-the-norm-itself", source=f"{DERIVED}, read with R in the norm of the steps", **ROUNDING,
        statement=r"the same with $R = \max |b|$ in the norm of the steps, for descent by signs",
        hypotheses=lambda ds: {"signs": ib.curves.among(ds.law, "signs")} | numbers(ds),
        residual=lambda ds: ds.over_own, expected="refuted",
    ),
    claim(
        id="margin-is-above-its-bound", **ROUNDING,
        statement=r"exponential loss: $\min \langle b, X_k \rangle / |X_k| \ge [\gamma S_1 - R^2 S_2 / 2 - \log L_0] / S_1$ at "
        "every record where that is positive",
        hypotheses=lambda ds: {"the bound is positive at the end": ib.curves.last(ds.below).fillna(-1.0)}
        | of(ds, "exponential"),
        residual=lambda ds: ds.below - ds.margin, bound=lambda ds: ds.margin,
    ),
    claim(
        id="logistic-margin-is-above-its-bound", **ROUNDING,
        statement=r"logistic loss: $\min \langle b, X_K \rangle / |X_K| \ge (\gamma E - F) / S_1$, "
        r"$E = \sum \eta (\sum w) / L$, $F = R^2 \sum \eta^2 e^{\eta R} / 2 + \log L_0 + L_K$, at the end, where that is positive",
        hypotheses=lambda ds: {"the bound is positive": ds.below_at_the_end} | of(ds, "logistic"),
        residual=lambda ds: ds.below_at_the_end - ib.curves.last(ds.margin), bound=lambda ds: ib.curves.last(ds.margin),
    ),
    claim(
        id="margin-is-below-the-largest", **ROUNDING,
        statement=r"$\min \langle b, X_k \rangle / |X_k| \le \gamma$ at every record, in the norm of the steps",
        residual=lambda ds: ds.margin - ds.largest_most, bound=lambda ds: ds.largest_most,
    ),
    claim(
        id="dual-norm-certifies-the-margin", **ROUNDING,
        statement=r"$\gamma \le \min_k D_k$ over every step",
        hypotheses=numbers, residual=lambda ds: ds.largest_least - ds.least_dual, bound=lambda ds: ds.least_dual,
    ),
]  # fmt: skip

# -- which margin is largest -------------------------------------------------------------------------------------------

STEEPEST = ("signs", "l2", "spectral")


def ran(ds):
    """The last step was at `horizon`, and not before."""
    return {"the run has `horizon` steps": ds.max_steps - ds.horizon + 0.0}


measured = ib.claims_with(source="Fan et al. 2025 (abstract), measured", accepts=ENDED)


def below(law, other, **own):
    """The spectral margin of one law is below that of another, paired over seeds."""
    return measured(
        kind=ib.Ordering(over="seed"),
        hypotheses=lambda ds: {
            f"against {other}": ib.curves.among(ds.law, other), "800 steps or more": ds.horizon - 799,
        } | ran(ds),
        residual=lambda ds: (ib.curves.at(ds.spectral, law=law) - ib.curves.at(ds.spectral, law=other)).isel(record=-1),
        **own,
    )  # fmt: skip


NORMS = [
    CERTIFIED,
    measured(
        id="direction-is-steepest", source="definition",
        statement=r"$\langle d, G \rangle = |d| |G|_*$ at every record: signs, l2 and spectral descent",
        hypotheses=lambda ds: {"signs, l2, spectral": ib.curves.among(ds.law, *STEEPEST)},
        residual=lambda ds: ds.slant, tolerance=lambda ds: 1e-10,
        because="rounding: singular vectors of a gradient whose singular values are some 1e3 apart",
    ),
    measured(
        id="direction-of-muon-is-steepest", source="optax, of scale_by_muon: \"steepest descent under the Schatten-p norm, "
        "for some large p\" (read with p infinite)",
        statement=r"the same of Muon in the spectral norm, and of five Newton-Schulz steps",
        hypotheses=lambda ds: {"Muon": ib.curves.among(ds.law, "muon", "newton-schulz")},
        residual=lambda ds: ds.slant, tolerance=lambda ds: 1e-2, because="what Newton-Schulz steps to the end would leave",
        expected="refuted",
    ),
    measured(
        id="margin-comes-to-the-largest", source=DERIVED,
        statement=r"$\min \langle b, X \rangle / |X| \to \gamma$ with the steps, in the norm of the steps",
        kind=ib.Limit(against="horizon", towards="infinity"),
        hypotheses=lambda ds: {"signs, l2, spectral": ib.curves.among(ds.law, *STEEPEST)} | ran(ds),
        residual=lambda ds: 1 - ib.curves.last(ds.margin) / ds.largest_most, tolerance=lambda ds: ds.rate / 2,
        because="log K / sqrt K, the rate of the bound, over 2: 7 % at K = 3200",
    ),
    below(
        "l2", "spectral", id="spectral-descent-has-the-largest-spectral-margin",
        statement="the spectral margin of spectral descent is above that of l2 descent",
    ),
    below(
        "signs", "l2", id="signs-have-the-least-spectral-margin",
        statement="the spectral margin of l2 descent is above that of descent by signs",
    ),
    below(
        "muon", "spectral", id="muon-lags-behind-spectral-descent",
        statement="the spectral margin of Muon is below that of spectral descent, after as many steps",
    ),
    below(
        "newton-schulz", "spectral", id="newton-schulz-lags-behind-spectral-descent",
        statement="so is that of five Newton-Schulz steps of the gradient itself",
    ),
    measured(
        id="muon-comes-to-the-largest-spectral-margin",
        statement=r"the spectral margin of Muon and of five Newton-Schulz steps comes to $\gamma$, too",
        kind=ib.Limit(against="horizon", towards="infinity"),
        hypotheses=lambda ds: {"Muon": ib.curves.among(ds.law, "muon", "newton-schulz")} | ran(ds),
        residual=lambda ds: 1 - ib.curves.last(ds.margin) / ds.largest_most, tolerance=lambda ds: 2 * ds.rate,
        because="2 log K / sqrt K, some eight times what spectral descent has left",
    ),
]  # fmt: skip
