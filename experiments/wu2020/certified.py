r"""Claims of Wu et al. 2020 without a tolerance: what a certificate proves false, of where the flow and descent truly end.

Each function is a claim of this folder, by its id. It returns the residual, which a true statement would have at or below
0, and the slacks of the claim's hypotheses. Ends are enclosed from the motion, not taken from the closed forms of `theory`.
"""

from fractions import Fraction

import implicit_bias as ib

# -- the flow ----------------------------------------------------------------------------------------------------------


def limit_as_printed(A, y, w0, g0, c):
    """|x_inf - x* - g* w_perp(0) exp((g0^2 - g*^2)/2c)|"""
    g, *w = ib.balls.limit_of_flow(A, y, c, [g0, *ib.balls.unit(w0)])
    least, perp = ib.balls.pinv(A, y), ib.balls.orthogonal(A, ib.balls.unit(w0))
    factor = ib.balls.norm(least) * ((g0**2 - ib.balls.dot(least, least)) / (2 * c)).exp()
    return [ib.balls.norm(ib.balls.plus([g * v for v in w], ib.balls.plus(least, perp, factor), -1))]


def plane_weight_normalisation_as_printed(A, y, w0, g0, c):
    """|x_inf - [1, exp((g0^2 - 1)/2)]|; 0 or more is only that A = [1, 0], y = 1, w0 = [0, 1], c = 1"""
    g, *w = ib.balls.limit_of_flow(A, y, c, [g0, *ib.balls.unit(w0)])
    other = abs(A[0][0] - 1) + abs(A[0][1]) + abs(y[0] - 1) + abs(w0[0]) + abs(c - 1)
    return [ib.balls.norm([g * w[0] - 1, g * w[1] - ((g0**2 - 1) / 2).exp()]), -other]


def size_stays_positive_as_inferred(A, y, w0, g0, c):
    """-g_inf; g_0 > 0 by 10^-6"""
    pull, force = ib.balls.downhill(A, y, [0] * len(w0)), ib.balls.misfit(A, y, [g0 * v for v in ib.balls.unit(w0)])
    s = ib.balls.dot(ib.balls.unit(w0), pull)
    opposed = c * s**2 - 2 * g0**2 * ib.balls.norm(pull) * ib.balls.extremes(A)[1].sqrt() * ib.balls.norm(force)
    return [-ib.balls.limit_of_flow(A, y, c, [g0, *ib.balls.unit(w0)], 1)[0], g0 - ib.balls.ratio(1, 10**6), -s, opposed]


def squared_norm_invariant_as_read(objective, A, y, w0, g0, c):
    """|log(|w_perp|^2 exp(g^2/2c)) - what it was at first|, at t = 1"""
    if objective != "square":
        raise ArithmeticError(f"the {objective} loss is not done here")
    g, *w = ib.balls.flow(lambda state: ib.balls.normalised(A, y, c, state), [g0, *ib.balls.unit(w0)], ib.balls.ratio(1))
    perp = ib.balls.norm(ib.balls.orthogonal(A, w)) / ib.balls.norm(ib.balls.orthogonal(A, ib.balls.unit(w0)))
    return [abs(2 * perp.log() + (g**2 - g0**2) / (2 * c))]


def released_ends_at_x_as_printed(A, y, w0, g0):
    """|x_inf - x*|, g frozen until w rests and then released at c = 1; the loss falls throughout"""
    (least, most), w = ib.balls.extremes(A), ib.balls.unit(w0)
    while len(ib.balls.STEPS) < 5000:
        # frozen, w moves by g d / (g p/2)^2 while |w_perp| keeps its half p/2; released, g and w by d / m and 2 g d / m
        p, m = ib.balls.norm(ib.balls.orthogonal(A, w)), (g0**2 / 4).min(ib.balls.ratio(1))
        d = most.sqrt() * ib.balls.norm(ib.balls.misfit(A, y, [g0 * v for v in w])) / least
        turned, moved = g0 * d / (g0 * p / 2) ** 2, d / m + 2 * g0**2 * d / m
        if 1000 * (turned + g0 * turned + moved) < p.min(g0):
            off = ib.balls.norm(ib.balls.plus([g0 * v for v in w], ib.balls.pinv(A, y), -1))
            return [off + ib.balls.within(g0 * turned + moved)]
        _, *w = ib.balls.flow(lambda state: ib.balls.normalised(A, y, 0, state), [g0, *w], ib.balls.ratio(1))
    raise ArithmeticError("w has not come to rest where A x = y")


def frozen_then_released_as_printed(A, y, w0, g0):
    return released_ends_at_x_as_printed(A, y, w0, g0)


def fits_in_time_by_the_loss(A, y, w0, g0, c):
    """t / T(L(t)) - 1 at t = 1/100, T = log(L0/L) / (lambda_min min(delta, c)), for g0 >= delta"""
    first = [g0, *ib.balls.unit(w0)]
    last = ib.balls.flow(lambda state: ib.balls.normalised(A, y, c, state), first, ib.balls.ratio(1, 100))
    r0, r = (ib.balls.norm(ib.balls.misfit(A, y, [g * v for v in w])) for g, *w in (first, last))
    least, most = ib.balls.eigenvalues(A)[0], ib.balls.eigenvalues(A)[-1]
    delta = (ib.balls.dot(y, y) - r0**2) / most
    return [least * delta.min(c) / (200 * (r0 / r).log()) - 1, r0 - r, delta, g0 - delta]


# -- descent -----------------------------------------------------------------------------------------------------------


def gradient_descent_limit_as_printed(A, y, w0, g0, step):
    """||x_inf| - sqrt(g*^2 + g*^2 |w_perp(0)|^2)|, x_inf = x* + g0 w_perp(0): steps move x in the row space, and
    contract it there"""
    least, perp = ib.balls.pinv(A, y), ib.balls.orthogonal(A, ib.balls.unit(w0))
    ends = ib.balls.norm(ib.balls.plus(least, perp, g0)), ib.balls.norm(least) * (1 + ib.balls.dot(perp, perp)).sqrt()
    apart = abs((g0 / ib.balls.norm(least)).log()) - ib.balls.ratio(1, 10)
    contracts = ib.balls.ratio(999_999, 10**6) - abs(1 - step * ib.balls.extremes(A)[1])
    return [abs(ends[0] - ends[1]), contracts, apart]


def end_of_descent(method, A, y, w0, g0, c, step):
    """the end x of WN"""
    if method != "wn":
        raise ArithmeticError(f"{method} is not done here")
    start = [g0, *ib.balls.unit(w0)]
    g, *w = ib.balls.limit_of_descent(A, y, c, step, lambda state: ib.balls.weight_normalised(A, y, c, step, state), start)
    return [g * v for v in ib.balls.unit(w)]


def closer_than_gd_as_printed(method, A, y, w0, g0, c, step):
    """|x_inf - x*| of WN or rPGD, less g0 |w_perp(0)|, where gradient descent ends"""
    least, perp = ib.balls.pinv(A, y), ib.balls.orthogonal(A, ib.balls.unit(w0))
    excess = ib.balls.norm(ib.balls.plus(end_of_descent(method, A, y, w0, g0, c, step), least, -1))
    return [excess - g0 * ib.balls.norm(perp), ib.balls.norm(least) - g0]


def closer_than_printed_gd_as_printed(method, A, y, w0, g0, c, step):
    """|x_inf - x*| of WN or rPGD, less g* |w_perp(0)|"""
    least, perp = ib.balls.pinv(A, y), ib.balls.orthogonal(A, ib.balls.unit(w0))
    excess = ib.balls.norm(ib.balls.plus(end_of_descent(method, A, y, w0, g0, c, step), least, -1))
    return [excess - ib.balls.norm(least) * ib.balls.norm(perp), ib.balls.norm(least) - g0]


def weight_norm_constant_in_steps(A, y, w0, g0, c, step):
    """|w|^2 - 1 after 1,000 steps of WN, none of which makes |w| less: a step of w is orthogonal to it"""
    state = ib.balls.descent(lambda state: ib.balls.weight_normalised(A, y, c, step, state), [g0, *ib.balls.unit(w0)], 1000)
    return [ib.balls.dot(state[1:], state[1:]) - 1]


def rpgd_decay_is_positive_as_one_might_read(A, y, w0, g0, c, step):
    """-lambda_t = g'/(g |v|) - 1, v = w + eta g q, the greatest of 1,000 steps"""
    state, greatest = [g0, *ib.balls.unit(w0)], ib.balls.ratio(-1)
    for _ in range(1000):
        g, *w = state
        state = ib.balls.descent(lambda state: ib.balls.projected(A, y, c, step, state), state, 1)
        v = ib.balls.plus(w, ib.balls.downhill(A, y, [g * u for u in w]), step * g)
        greatest = greatest.max(state[0] / (g * ib.balls.norm(v)) - 1)
    return [greatest]


EXAMPLES = {
    "limit-as-printed": dict(A=[[1, 0]], y=[3], w0=[0, 1], g0=4, c=1),
    "plane-weight-normalisation-as-printed": dict(A=[[1, 0]], y=[1], w0=[0, 1], g0=2, c=1),
    "size-stays-positive-as-inferred": dict(A=[[1, 0]], y=[3], w0=[-1, 1], g0=Fraction(1, 3), c=1),
    "squared-norm-invariant-as-read": dict(objective="square", A=[[1, 0]], y=[2], w0=[0, 1], g0=1, c=1),
    "released-ends-at-x*-as-printed": dict(A=[[1, 0]], y=[2], w0=[0, 1], g0=3),
    "fits-in-time-by-the-loss": dict(
        A=[[1, 0, 0], [0, Fraction(1, 2), 0]], y=[Fraction(6, 85), Fraction(4761, 340)], w0=[12, 1, 12], g0=Fraction(1, 10), c=1
    ),
    "gradient-descent-limit-as-printed": dict(A=[[1, 0]], y=[3], w0=[0, 1], g0=1, step=Fraction(1, 200)),
    "closer-than-gd-as-printed": dict(
        method="wn", A=[[1, 0]], y=[2], w0=[0, 1], g0=Fraction(1, 2), c=30, step=Fraction(1, 500)
    ),
    "weight-norm-constant-in-steps": dict(A=[[1, 0]], y=[Fraction(3, 2)], w0=[0, 1], g0=1, c=1, step=Fraction(1, 500)),
    "rpgd-decay-is-positive-as-one-might-read": dict(
        A=[[1, 0]], y=[3], w0=[0, 1], g0=Fraction(1, 2), c=1, step=Fraction(1, 50)
    ),
}
"""Data of the certificates under docs/certificates, as `refute` found or the claim's study has them."""
