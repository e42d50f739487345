"""What is claimed of the mean iterate, over seeds: a seed is the noise alone, and all seeds of a problem have its data."""

import numpy as np

import implicit_bias as ib

CAPPED = (ib.Status.CAPPED,)


def average(ds, value):
    """The mean of a vector of entries over the seeds, and its standard error."""
    value = ib.accepted(ds, ds[value], CAPPED).rename({f"{value}_0": "entry"})
    return abs(value.mean("seed")), value.std("seed", ddof=1) / np.sqrt(value.notnull().sum("seed"))


def gentle(ds):
    return {r"$2 \eta \sigma |A_i| \le 0.35$: noise turns no sign": 0.35 - ds.kick}


def stationary(ds):
    """Mixed, and past the start: earlier, dead entries are alive."""
    return gentle(ds) | {"dead branches have drifted three standard deviations in half of the run": ds.forgotten - 3}


def averaged(ds):
    return stationary(ds) | {"eight seeds or more": ds.sizes["seed"] - 8}


claim = ib.claims_with(accepts=CAPPED, hypotheses=stationary)
limit = ib.claims_with(
    accepts=CAPPED, hypotheses=stationary, kind=ib.Limit(against="step", towards="zero"),
    tolerance=lambda ds: 3 * ds.lasso_off, because="three times what the Lasso of the same step is away, at each step",
)  # fmt: skip

CLAIMS = [
    claim(
        id="product-of-the-branches", source="derived", hypotheses=gentle,
        statement=r"$|a b|' = |a b| |1 - 4 \eta^2 g^2|$ at every step, $g = A^\top (A x - y - \sigma \xi)$ with its own noise",
        residual=lambda ds: ds.off_product, tolerance=lambda ds: 1e-12, because="exact; rounding of g times eta",
    ),
    claim(
        id="every-product-dies", source="derived",
        statement=r"$\log |a b|_i$ falls by $4 \eta^2 \sigma^2 |A_i|^2$ a step, of live and dead entries alike, and faster by "
        r"$2 \eta \sum_j |x_j| (A_i^\top A_j)^2 / |A_i|^2 + (A_i^\top (A x - y) / \sigma |A_i|)^2 + 6 \eta^2 \sigma^2 |A_i|^2$ "
        "of it, $x$ the mean, up to the square of that",
        residual=lambda ds: average(ds, "off_decay")[0], hypotheses=averaged,
        tolerance=lambda ds: 5 * average(ds, "off_decay")[1]
        + 5 * ds.next_orders_faster.rename(next_orders_faster_0="entry") ** 2,
        because="five standard errors, and five times the square of the next order: for normal g 20/9 of it is next",
    ),
    claim(
        id="lasso-is-certified", source="convex duality", hypotheses=lambda ds: {}, accepts=(*CAPPED, ib.Status.DIVERGED),
        statement="the Lasso's solution has a dual point of the same value", residual=lambda ds: ds.lasso_doubt,
        tolerance=lambda ds: 1e-11, because="normal equations on the support, rounded",
    ),
    claim(
        id="mean-solves-the-weighted-lasso", source="derived", hypotheses=averaged,
        statement=r"the mean iterate minimises $|A x - y|^2 / 2 + \eta \sigma^2 \sum |A_i|^2 |x_i|$ up to $O(\eta^2)$",
        residual=lambda ds: average(ds, "off_lasso")[0],
        tolerance=lambda ds: 5 * average(ds, "off_lasso")[1] + ds.next_orders_moved + ds.next_orders_left + 1e-9,
        because="five standard errors, for all entries of all problems at once, what the next two orders move, and the rest",
    ),
    claim(
        id="next-order-of-the-lasso", source="derived", hypotheses=averaged,
        statement=r"the mean iterate solves the Lasso with the weights "
        r"$[G + 2 \eta G D G + 4 \eta^2 G D G D G]_{ii} + 3 \eta^2 \sigma^2 |A_i|^4$ up to $O(\eta^4)$, $G = A^\top A$, "
        r"$D = \operatorname{diag} |x|$",
        residual=lambda ds: average(ds, "off_next_orders")[0],
        tolerance=lambda ds: 5 * average(ds, "off_next_orders")[1] + ds.next_orders_left + 1e-9,
        because="five standard errors, and eight times the share of both in what the second moves: of normal noise, 110/27 "
        "of its square is next, and 8 times its square is more than all that is left where it turns no sign",
    ),
    limit(
        id="least-weight-for-small-steps", source="Damian et al. 2021 (recalled: the Hessian's trace; of these nets derived)",
        statement=r"for $\eta \to 0$ the mean iterate tends to the fit of least $\sum |A_i|^2 |x_i|$",
        residual=lambda ds: ds.off_least_weight,
    ),
    limit(
        id="least-l1-for-small-steps", source="Pillaud-Vivien et al. 2022, the title's Lasso (as read: of the l1 norm)",
        statement=r"for $\eta \to 0$ the mean iterate tends to the fit of least $\ell_1$ norm, here the sparsest",
        expected="refuted",
        hypotheses=lambda ds: stationary(ds) | {"another fit has the least weight": ds.fits_apart - 0.1},
        residual=lambda ds: ds.off_least_l1, remembered="HaoChen et al. and Damian et al. 2021: sparse",
    ),
    limit(
        id="least-l1-where-columns-have-one-norm", source="derived",
        statement=r"where all $|A_i|$ are equal, it does", residual=lambda ds: ds.off_least_l1,
        hypotheses=lambda ds: stationary(ds) | {"columns of one norm": 1e-9 - abs(ds.first - 1)},
    ),
]  # fmt: skip
