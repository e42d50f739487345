"""What a certificate proves false of catapults: each step on f^2 / 2, f = v w, in s = eta (v^2 + w^2), z = eta^2 f^2."""

from fractions import Fraction

import implicit_bias as ib


def between_2_and_4(s0):
    """slacks of 2 < s_0 < 4, by 10^-6"""
    margin = ib.balls.ratio(1, 10**6)
    return [s0 - 2 - margin, 4 - s0 - margin]


def loss_grows_between_2_and_4(curvature, share, step):
    """the least share of the loss that a step takes, down to s < 2, from where none raises it: z' = (1 - s + z)^2 z"""
    p, q = (curvature * (1 + share) / 2).sqrt(), (curvature * (1 - share) / 2).sqrt()
    v, w = (p + q) / ib.balls.ratio(2).sqrt(), (p - q) / ib.balls.ratio(2).sqrt()
    least = ib.balls.ratio(1)
    while len(ib.balls.STEPS) < 1000 and not step * (v**2 + w**2) < 2:
        f = v * w
        v, w = ib.balls.descent(lambda x: [x[0] - step * f * x[1], x[1] - step * f * x[0]], [v, w], 1)
        least = least.min(1 - (v * w / f) ** 2)
    return [least, *between_2_and_4(step * curvature), 2 - step * (v**2 + w**2)]


def ends_where_descent_is_stable_from_every_start(v, w, step):
    """s - 2 where the first step has landed on f = 0, exactly"""
    f = v * w
    new = ib.balls.descent(lambda x: [x[0] - step * f * x[1], x[1] - step * f * x[0]], [v, w], 1)
    s0, s = step * (v**2 + w**2), step * ib.balls.dot(new, new)
    return [s - 2, *between_2_and_4(s0), -abs(new[0] * new[1])]


EXAMPLES = {
    "loss-grows-between-2-and-4": dict(curvature=3, share=Fraction(9, 10), step=1),
    "ends-where-descent-is-stable-from-every-start": dict(v=1, w=Fraction(13, 8), step=1),
}
