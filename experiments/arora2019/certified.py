"""What a certificate proves false of hitting times: the flow of one mode of two layers, u' = v (S - u v), v' = u (S - u v)."""

from fractions import Fraction

import implicit_bias as ib


def balanced_times_of_unbalanced_pairs(start, delta):
    """|log[s (S - s0) / (s0 (S - s))] / 2S - t| at t = 1/2, S = 1, s = u v, from u v = s0 and u^2 - v^2 = delta"""

    def field(state):
        left = 1 - state[0] * state[1]
        return [state[1] * left, state[0] * left]

    both, time = (delta**2 + 4 * start**2).sqrt(), ib.balls.ratio(1, 2)
    new = ib.balls.flow(field, [((both + delta) / 2).sqrt(), ((both - delta) / 2).sqrt()], time)
    s = new[0] * new[1]
    return [abs((s * (1 - start) / (start * (1 - s))).log() / 2 - time)]


EXAMPLES = {"balanced-times-of-unbalanced-pairs": dict(start=Fraction(1, 100), delta=Fraction(1, 2))}
