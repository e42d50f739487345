"""What a certificate proves false of large steps: every step of a heavy ball on x = a^2 - b^2, from a = b = alpha."""

from fractions import Fraction

import implicit_bias as ib


def start_shrinks_as_read(law, gradient, A, x, alpha, momentum, step):
    """the greatest log(|a b| / alpha^2) of an entry after 200 steps, on the data A x; by then they are fitted to 10^-6"""
    if (law, gradient) != ("heavy ball", "full"):
        raise ArithmeticError(f"{law} on the gradient of {gradient} examples is not done here")
    n, y = len(x), [ib.balls.dot(row, x) for row in A]

    def move(state):
        z, before = state[: 2 * n], state[2 * n :]
        pull = ib.balls.downhill(A, y, [p**2 - q**2 for p, q in zip(z[:n], z[n:])])
        forces = [2 * step * p * q for p, q in zip(z, [*pull, *(-p for p in pull)])]
        return [*ib.balls.plus(ib.balls.plus(z, forces), ib.balls.plus(z, before, -1), momentum), *z]

    z = ib.balls.descent(move, [alpha] * (4 * n), 200)
    logs = [abs(p * q / alpha**2).log() for p, q in zip(z[:n], z[n : 2 * n])]
    left = ib.balls.norm(ib.balls.misfit(A, y, [p**2 - q**2 for p, q in zip(z[:n], z[n : 2 * n])]))
    return [max(logs, key=lambda v: float(v.mid())), ib.balls.ratio(1, 10**6) - left]


EXAMPLES = {
    "start-shrinks-as-read": dict(
        law="heavy ball", gradient="full", A=[[1]], x=[1], alpha=Fraction(1, 10), momentum=Fraction(4, 5), step=Fraction(3, 10)
    )
}
