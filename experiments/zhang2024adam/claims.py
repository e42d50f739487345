"""The claims of this folder."""

import numpy as np

import implicit_bias as ib

ENDED = (ib.Status.ESCAPING, ib.Status.CAPPED)
SOURCE = "Zhang et al. 2024"

# -- which margin ------------------------------------------------------------------------------------------------------


def _squares(ds):
    """g^2 is above 1e-308 where Loss is above 1e-148."""
    return ib.curves.last(ds.loss) - 1e-148


def numbers(ds):
    return {
        "squares of gradients are numbers": _squares(ds),
        "the run has `horizon` steps": ds.max_steps - ds.horizon,
        r"$\beta_1 \le \beta_2 < 1$": np.minimum(ds.b2 - ds.b1, 0.9999 - ds.b2),
    }


def remembers_little(ds):
    return {r"$\eta \gamma_\infty \le \log(1/\beta_2) / 2$ from a sixteenth of the steps on": ds.memory - 1}


def without_eps(ds):
    return {r"$\epsilon = 0$": 0 - ds.eps} | numbers(ds) | remembers_little(ds)


def settled(ds):
    return {"the margin is 8 or more in the middle of the steps": ds.grown_middle - 8}


def eps_has_acted(ds):
    """e^-margin is below eps / e before growth is measured."""
    return {r"$e^{-\mathrm{margin}} \le \epsilon / e$ in the middle of the steps": ds.acted - 1} | numbers(ds)


def apart(ds):
    return {r"the $l_2$ separator has at most 9/10 of $\gamma_\infty$": 0.9 - ds.best_inf_of_two / ds.best_inf}


claim = ib.claims_with(source=f"{SOURCE} (abstract)", accepts=ENDED)
MARGIN = [
    claim(
        id="largest-margins-are-certified", source="linear and quadratic programming duality",
        statement=r"the largest margins $\gamma_\infty$ and $\gamma_2$ have dual points of the same value",
        residual=lambda ds: ds.best_doubt, tolerance=lambda ds: 1e-9, because="vertices of HiGHS, rescaled to be feasible",
    ),
    claim(
        id="adam-without-eps-comes-to-the-largest-l-infinity-margin",
        statement=r"$\epsilon = 0$: $\min y_i \langle a_i, x \rangle / |x|_\infty \to \gamma_\infty$ with the steps",
        kind=ib.Limit(against="horizon", towards="infinity"), hypotheses=without_eps,
        residual=lambda ds: ds.grown_short, tolerance=lambda ds: 0.04, because="what is left of it after 20,000 steps",
    ),
    claim(
        id="adam-without-eps-grows-along-the-largest-l-infinity-margin",
        statement=r"$\epsilon = 0$: $|x|_\infty$ grows by $1/\gamma_\infty$ a unit of $\log(1/\mathrm{Loss})$, over the last "
        "half of the steps",
        hypotheses=lambda ds: without_eps(ds) | settled(ds),
        residual=lambda ds: abs(ds.grown_inf - 1), tolerance=lambda ds: 0.02,
        because="what still turns at a margin of 8: 1 % of the growth",
    ),
    claim(
        id="adam-grows-along-the-largest-l-infinity-margin",
        source=f"{SOURCE} (abstract: eps is neglected), read of Adam as it is run",
        statement=r"the same with $\epsilon > 0$",
        hypotheses=lambda ds: eps_has_acted(ds) | settled(ds) | apart(ds),
        residual=lambda ds: abs(ds.grown_inf - 1), tolerance=lambda ds: 0.02, because="as without eps", expected="refuted",
    ),
    claim(
        id="adam-comes-to-the-largest-l-infinity-margin",
        source=f"{SOURCE} (abstract: eps is neglected), read of Adam as it is run",
        statement=r"$\epsilon > 0$: $\min y_i \langle a_i, x \rangle / |x|_\infty \to \gamma_\infty$ with the steps",
        kind=ib.Limit(against="horizon", towards="infinity"),
        hypotheses=lambda ds: {
            r"$e^{-\mathrm{margin}} \le \epsilon / e$ before the longest run's last half": ds.acted.max("horizon") - 1
        } | numbers(ds) | apart(ds),
        residual=lambda ds: ds.grown_short, tolerance=lambda ds: 0.04, because="as without eps", expected="refuted",
    ),
    claim(
        id="adam-grows-along-the-largest-l2-margin", source="derived: gradient descent with steps eta / eps",
        statement=r"$\epsilon > 0$: over the last half of the steps $x$ goes $1/\gamma_2$ far in $l_2$ for each unit of "
        r"$\log(1/\mathrm{Loss})$, which is along the $l_2$ separator",
        hypotheses=eps_has_acted, residual=lambda ds: abs(ds.grown_two - 1), tolerance=lambda ds: 0.04,
        because="the balance of forces at the supports settles like a power of the loss",
    ),
    claim(
        id="adam-grows-along-the-largest-l-infinity-margin-at-every-b2",
        source=f"{SOURCE} (abstract), read of the usual b2 and 20,000 steps",
        statement=r"$\epsilon = 0$: $|x|_\infty$ grows by $1/\gamma_\infty$ a unit of $\log(1/\mathrm{Loss})$, whatever "
        r"$\beta_2$ is",
        hypotheses=lambda ds: {r"$\epsilon = 0$": 0 - ds.eps} | numbers(ds) | settled(ds),
        residual=lambda ds: abs(ds.grown_inf - 1), tolerance=lambda ds: 0.02, because="as with a short memory",
        expected="refuted",
    ),
]  # fmt: skip

# -- one example a step ------------------------------------------------------------------------------------------------

BAEK = "Baek et al. 2025 (abstract), derived"


def one_size(ds):
    """Entries of a row have one size; squares of gradients are numbers."""
    return {"$|b_{ij}| = c_i$": 0 - ds.uneven, "squares of gradients are numbers": _squares(ds)}


span = ib.claims_with(
    source=BAEK, accepts=ENDED, residual=lambda ds: ds.outside, tolerance=lambda ds: 1e-12,
    because="rounding: sums of some thousand steps",
)
SAMPLES = [
    span(
        id="adam-on-one-example-stays-in-the-span",
        statement=r"one example a step, $|b_{ij}| = c_i$: $x - x_0 \in \operatorname{range}(B^\top)$ at every record",
        hypotheses=lambda ds: {"one example": ib.curves.among(ds.batch, "one")} | one_size(ds),
    ),
    span(
        id="adam-on-all-examples-stays-in-the-span", expected="refuted",
        source=f"{BAEK}, read of the full batch",
        statement=r"all examples a step, $|b_{ij}| = c_i$, more patterns of columns than rows: the same",
        hypotheses=lambda ds: {
            "all examples": ib.curves.among(ds.batch, "all"), "more patterns of columns than rows": ds.patterns - ds.rows - 1,
        } | one_size(ds),
    ),
    span(
        id="adam-on-one-uneven-example-stays-in-the-span", expected="refuted",
        source=f"{BAEK}, read without one size a row",
        statement="one example a step, entries of any size: the same",
        hypotheses=lambda ds: {"one example": ib.curves.among(ds.batch, "one"), "uneven entries": ds.uneven - 0.1},
    ),
    ib.Claim(
        id="adam-on-one-example-has-the-larger-l2-margin", source=BAEK, accepts=ENDED, kind=ib.Ordering(over="seed"),
        statement=r"$|b_{ij}| = c_i$: the $l_2$ margin of $x - x_0$ is larger with one example a step than with all",
        hypotheses=lambda ds: {"one example": ib.curves.among(ds.batch, "one")} | one_size(ds),
        residual=lambda ds: ib.curves.at(ds.margin, batch="all") - ds.margin,
    ),
]  # fmt: skip
