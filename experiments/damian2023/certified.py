"""What a certificate proves false of the central flow: a run of descent on (a^2 - y)^2 / 2, and the cycle that it comes to."""

from fractions import Fraction

import implicit_bias as ib


def cycle(edge, target):
    """m and d of the cycle of two |a| = m +- d to which the run from a^2 = y/2 tends: where two steps rest about a_200"""
    step = edge / target

    def move(a):
        return [a[0] - 2 * step * a[0] * (a[0] ** 2 - target)]

    def slope(a):
        return 1 + 2 * edge - 6 * step * a**2

    a = ib.balls.descent(move, [(target / 2).sqrt()], 200)[0]
    a = ib.balls.point_at_rest(lambda a: move(move([a]))[0], lambda a: slope(a) * slope(move([a])[0]), a)
    one, two = abs(a), abs(move([a])[0])
    return (one + two) / 2, abs(one - two) / 2


def mean_is_the_central_flow(edge, target):
    """|m^2 / ((1/eta + y)/3) - 1| - 10^-6"""
    m, _ = cycle(edge, target)
    return [abs(3 * m**2 / (target / edge + target) - 1) - ib.balls.ratio(1, 10**6), 2 * edge - 1]


def variance_is_that_of_the_central_flow(edge, target):
    """|d^2 / ((2 y - 1/eta)/9) - 1| - 1 %"""
    _, d = cycle(edge, target)
    return [abs(9 * d**2 / (2 * target - target / edge) - 1) - ib.balls.ratio(1, 100), 2 * edge - 1]


EXAMPLES = {
    "mean-is-the-central-flow": dict(edge=Fraction(11, 20), target=1),
    "variance-is-that-of-the-central-flow": dict(edge=Fraction(11, 20), target=1),
}
