"""What a certificate proves false of decay with noise at equilibrium: steps w' = (1 - eta lam) w - eta d, d orthogonal to w.

With |d| |w| = sqrt(G), n = |w|^2 moves by itself: n' = (1 - eta lam)^2 n + eta^2 G / n, whatever the direction of d.
"""

from fractions import Fraction

import implicit_bias as ib


def at_equilibrium(intrinsic, step, strength, scale):
    """n = |w|^2 where it rests, of steps w' = (1 - eta lam) w - eta d, d orthogonal to w, |d| |w| = sqrt(G); and n'"""

    def move(n):
        return [(1 - intrinsic) ** 2 * n[0] + step**2 * strength / n[0]]

    n = ib.balls.descent(move, [scale**2], 400)[0]
    n = ib.balls.point_at_rest(lambda n: move([n])[0], lambda n: (1 - intrinsic) ** 2 - step**2 * strength / n**2, n)
    return n, move([n])[0]


def norm_as_printed(intrinsic, step, strength, scale):
    """|w|^4 / (eta G / 2 lam) - 1"""
    n, _ = at_equilibrium(intrinsic, step, strength, scale)
    return [n**2 * 2 * intrinsic / (step**2 * strength) - 1, intrinsic - ib.balls.ratio(1, 10)]


def turn_as_printed(intrinsic, step, strength, scale):
    """the angle from w to w' over sqrt(2 eta lam), less 1; w.w' = (1 - eta lam) |w|^2"""
    n, new = at_equilibrium(intrinsic, step, strength, scale)
    angle = ((1 - intrinsic) * (n / new).sqrt()).acos()
    return [angle / (2 * intrinsic).sqrt() - 1, intrinsic - ib.balls.ratio(1, 10)]


EXAMPLES = {
    name: dict(intrinsic=Fraction(3, 5), step=Fraction(1, 2), strength=2, scale=1)
    for name in ("norm-as-printed", "turn-as-printed")
}
