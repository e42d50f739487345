"""What is claimed of the gain of SAM: see `gain`."""

import implicit_bias as ib

ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED)


def on_methods(**fields):
    """One claim of the flow, and the same of descent, which rounds where the flow's integrator errs."""
    tolerance, because, at = fields.pop("tolerance"), fields.pop("because"), fields.pop("id")
    flow = dict(on="flow", tolerance=lambda ds: 1e2 * ds.rtol * tolerance(ds), because=f"integrator, {because}")
    descent = dict(on="full+one+sam", tolerance=lambda ds: 1e-12 * tolerance(ds), because=f"rounding, {because}")
    yield ib.Claim(id=f"{at}-flow", **flow, **fields)
    yield ib.Claim(id=at, **descent, **fields)


CLAIMS = [
    *on_methods(
        id="gain-law", source="derived", accepts=ENDED,
        statement=r"$|a b| = \alpha^2 \exp(-8 \int \rho_t g \tilde g \, dt)$, of descent with $\sum R(p) + R(s)$ besides",
        residual=lambda ds: ds.off_gain, tolerance=lambda ds: ds.counted_size, because="of what has been summed",
    ),
    *on_methods(
        id="range-law", source="derived", accepts=ENDED,
        statement=r"$\log|a / b|$, of descent with $\sum R(p) - R(s)$ besides, stays in $\operatorname{range}(A^\top)$",
        residual=lambda ds: ds.outside_kappa, tolerance=lambda ds: ds.counted_size, because="of what has been summed",
    ),
    *on_methods(
        id="limit-with-gain", source="derived", accepts=ENDED,
        statement="the end minimises the hyperbolic entropy of the start with its gain, on the data $A x$",
        residual=lambda ds: ds.off_limit, tolerance=lambda ds: ds.reach * ds.counted_size,
        because="of the gain, times what the minimiser makes of it",
    ),
    *on_methods(
        id="limit-of-the-plain-start", source="Woodworth et al. 2020, read for SAM", accepts=ENDED, expected="refuted",
        statement="the end minimises the hyperbolic entropy of the start, without a gain",
        hypotheses=lambda ds: {r"$\rho > 0$": ds.rho - 1e-6},
        residual=lambda ds: ds.off_plain, tolerance=lambda ds: ds.reach * ds.counted_size, because="as with the gain",
    ),
    ib.Claim(
        id="sam-fits", source="read from the flow", on="full+one+sam", accepts=ENDED, kind=ib.Inequality(), expected="refuted",
        statement=r"SAM with $\rho_t = \rho / |\nabla L|$ fits: the loss falls below the stop rule's",
        hypotheses=lambda ds: {"SAM": ib.curves.among(ds.method, "sam"), r"$\rho > 0$": ds.rho - 1e-6},
        residual=lambda ds: ib.curves.last(ds.loss) - ds.stop, tolerance=lambda ds: 0.0, because="the stop rule",
    ),
]
