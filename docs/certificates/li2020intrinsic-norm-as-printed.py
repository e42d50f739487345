r"""li2020intrinsic/equilibrium:norm-as-printed, against Li et al. 2020 (recalled, to first order in eta lam), read as an
equality, is PROVED FALSE. The statement: $|w|^4 = \eta G / 2 \lambda$ at the end. Every number below is a ball that holds
the true one, and what is compared is certain."""
from math import inf, nextafter
from flint import arb, ctx, fmpq
ctx.prec = ctx.cap = 64
DATA = dict(intrinsic=fmpq(3, 5), step=fmpq(1, 2), strength=2, scale=1)
STEPS = []  # the lengths of those that were enclosed
def within(r): return arb(0, r)  # [-r, r]
def ratio(p, q=1): return arb(fmpq(p, q))

def descent(move, x, count):
    for _ in range(count):
        x = move(x)
        STEPS.append(1)
    return x

# a ball about x that `move`, of that derivative, takes into itself and contracts: all in it tend to one point
def point_at_rest(move, slope, x):
    ball = x + within(x / 10**6)
    if not (abs(slope(ball)) < 1 and ball.contains(move(ball.mid()) + slope(ball) * (ball - ball.mid()))):
        raise ArithmeticError(f"{x.str(5)} has not come to rest after {len(STEPS)} steps")
    return ball

# n = |w|^2 where it rests, of steps w' = (1 - eta lam) w - eta d, d orthogonal to w, |d| |w| = sqrt(G); and n'
def at_equilibrium(intrinsic, step, strength, scale):
    def move(n): return [(1 - intrinsic) ** 2 * n[0] + step**2 * strength / n[0]]
    n = descent(move, [scale**2], 400)[0]
    n = point_at_rest(lambda n: move([n])[0], lambda n: (1 - intrinsic) ** 2 - step**2 * strength / n**2, n)
    return n, move([n])[0]

def norm_as_printed(intrinsic, step, strength, scale):  # |w|^4 / (eta G / 2 lam) - 1
    n, _ = at_equilibrium(intrinsic, step, strength, scale)
    return [n**2 * 2 * intrinsic / (step**2 * strength) - 1, intrinsic - ratio(1, 10)]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = norm_as_printed(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
