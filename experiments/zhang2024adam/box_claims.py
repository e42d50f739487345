"""The claims of `boxes`."""

import numpy as np

import implicit_bias as ib

CAPPED = (ib.Status.CAPPED, ib.Status.STALLED)
XIE = "Xie & Li 2024 (abstract)"


def keeps_the_data_from_being_fitted(ds):
    return {r"$f^* \ge f(0) / 1000$: the box is active": ds.box_share - 1e-3}


def shrinks(ds):
    """A step is a mean of x and -d / lam."""
    return {r"$\eta \lambda \le 1$": 1 - ds.step * ds.decay, r"$x_0$ is in the box": 1 - ds.scale * ds.decay}


def ran(ds):
    return {"the run has `horizon` steps": ds.max_steps - ds.horizon}


def ordered(ds):
    return {r"$\beta_1 \le \beta_2$": ds.b2 - ds.b1 + 1e-12}


within = ib.claims_with(
    on="adamw", accepts=CAPPED, kind=ib.Inequality(), residual=lambda ds: ds.largest * ds.decay - 1,
    tolerance=lambda ds: 1e-12, because="rounding of a mean, at each step", bound=lambda ds: 1 + 0 * ds.largest,
)
BOXES = [
    *(
        ib.Claim(
            id=f"least-on-the-box-is-certified-{on}", source="convex duality", on=on, accepts=CAPPED,
            statement="the least value on the box has a dual point of the same value",
            residual=lambda ds: ds.box_doubt, tolerance=lambda ds: 1e-12, because="a linear solve on the free entries",
        )
        for on in ("signs", "adamw")
    ),
    ib.Claim(
        id="signs-with-decay-are-frank-wolfe", source=f"{XIE}, derived with its constant", on="signs", accepts=CAPPED,
        kind=ib.Inequality(),
        statement=r"$f(x_k) - f^* \le 2 C / (k + 2)$ at every record, $C = (4 / \lambda^2) \max |A s|^2$ over signs",
        hypotheses=keeps_the_data_from_being_fitted,
        residual=lambda ds: (ds.excess - ds.bound).where(ds.clock > 0), bound=lambda ds: ds.bound,
        tolerance=lambda ds: 1e-11, because="rounding, and the certificate of f*",
    ),
    ib.Claim(
        id="adamw-comes-to-the-least-on-the-box", source=f"{XIE}, measured", on="adamw", accepts=CAPPED,
        kind=ib.Limit(against="horizon", towards="infinity"),
        statement=r"AdamW, $\eta_k \sim k^{-3/4}$, $\beta_1 \le \beta_2$: $|\langle g, x \rangle + |g|_1 / \lambda| \to 0$ "
        "with the steps",
        hypotheses=lambda ds: ordered(ds) | keeps_the_data_from_being_fitted(ds) | ran(ds),
        residual=lambda ds: abs(ib.curves.last(ds.gap)), tolerance=lambda ds: 0.1,
        because="what 8,000 steps leave at beta2 = 0.999: up to 0.05",
    ),
    within(
        id="adamw-stays-in-the-box", source="derived: |m| <= sqrt(v) for equal weights of the past",
        statement=r"$\beta_1 = \beta_2$: $|x|_\infty \le 1 / \lambda$ at every step",
        hypotheses=lambda ds: {r"$\beta_1 = \beta_2$": 0 - abs(ds.b1 - ds.b2)} | shrinks(ds),
    ),
    within(
        id="adamw-stays-in-the-box-for-ordered-betas", source=f"{XIE}, read of every step", expected="refuted",
        statement=r"$\beta_1 \le \beta_2$: $|x|_\infty \le 1 / \lambda$ at every step",
        hypotheses=lambda ds: ordered(ds) | shrinks(ds) | keeps_the_data_from_being_fitted(ds),
    ),
    within(
        id="adamw-stays-in-the-box-for-all-betas", source=f"{XIE}, read of every step, without beta1 <= beta2",
        statement=r"$|x|_\infty \le 1 / \lambda$ at every step, whatever $\beta_1$ and $\beta_2$ are", expected="refuted",
        hypotheses=lambda ds: shrinks(ds) | keeps_the_data_from_being_fitted(ds),
    ),
    within(
        id="adamw-stays-in-its-own-box", source="derived: Cauchy-Schwarz",
        statement=r"$\beta_1^2 < \beta_2$: $|x|_\infty \le B / \lambda$ at every step, $B^2 = \max_t \sum w_j^2 / u_j$",
        hypotheses=lambda ds: {r"$\beta_1^2 < \beta_2 < 1$": np.minimum(ds.b2 - ds.b1**2 - 1e-9, 0.99999 - ds.b2)}
        | shrinks(ds),
        residual=lambda ds: ds.largest * ds.decay - ds.reach, bound=lambda ds: ds.reach + 0 * ds.largest,
    ),
    ib.Claim(
        id="coupled-decay-ends-at-the-ridge", source="calculus: where the gradient that Adam sees vanishes", on="coupled",
        accepts=CAPPED, statement=r"Adam at $g + \lambda x$ ends at the minimiser of $|A x - y|^2 + \lambda |x|^2$",
        residual=lambda ds: ds.off_ridge, tolerance=lambda ds: 2 * ds.step / ds.max_steps**ds.power,
        because="two of the last steps",
    ),
    ib.Claim(
        id="coupled-decay-ends-on-the-box", source=f"{XIE}, read of Adam with coupled decay", on="coupled", accepts=CAPPED,
        statement=r"the same of Adam with coupled decay: $|\langle g, x \rangle + |g|_1 / \lambda| \le 0.1$ at the end",
        hypotheses=keeps_the_data_from_being_fitted, residual=lambda ds: abs(ib.curves.last(ds.gap)),
        tolerance=lambda ds: 0.1, because="as for AdamW", expected="refuted",
    ),
]  # fmt: skip
