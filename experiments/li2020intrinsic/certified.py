"""What a certificate proves false of decay with noise at equilibrium: steps w' = (1 - eta lam) w - eta d in the plane."""

from fractions import Fraction

import implicit_bias as ib


def at_equilibrium(intrinsic, step, strength, scale):
    """w after 400 steps with d orthogonal to w, |d| |w| = sqrt(G), and after one more"""

    def move(w):
        turned = [-w[1], w[0]]
        return ib.balls.plus([(1 - intrinsic) * v for v in w], turned, -step * strength.sqrt() / ib.balls.dot(w, w))

    w = ib.balls.descent(move, [scale, 0 * scale], 400)
    return w, move(w)


def norm_as_printed(intrinsic, step, strength, scale):
    """|w|^4 / (eta G / 2 lam) - 1"""
    w, _ = at_equilibrium(intrinsic, step, strength, scale)
    return [ib.balls.dot(w, w) ** 2 * 2 * intrinsic / (step**2 * strength) - 1, intrinsic - ib.balls.ratio(1, 10)]


def turn_as_printed(intrinsic, step, strength, scale):
    """the angle from w to w' over sqrt(2 eta lam), less 1"""
    w, new = at_equilibrium(intrinsic, step, strength, scale)
    angle = ib.balls.dot(ib.balls.unit(w), ib.balls.unit(new)).acos()
    return [angle / (2 * intrinsic).sqrt() - 1, intrinsic - ib.balls.ratio(1, 10)]


EXAMPLES = {
    name: dict(intrinsic=Fraction(3, 5), step=Fraction(1, 2), strength=2, scale=1)
    for name in ("norm-as-printed", "turn-as-printed")
}
