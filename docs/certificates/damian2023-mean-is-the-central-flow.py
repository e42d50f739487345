r"""damian2023/cycle:mean-is-the-central-flow, against Cohen et al. 2024, read as an equality, is PROVED FALSE. The statement:
$m^2 = (1/\eta + y)/3$, to $10^{-6}$. Every number below is a ball that holds the true one, and what is compared is certain."""
from math import inf, nextafter
from flint import arb, ctx, fmpq
ctx.prec = ctx.cap = 512
DATA = dict(edge=fmpq(11, 20), target=1)
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

# m and d of the cycle of two |a| = m +- d to which the run from a^2 = y/2 tends: where two steps rest about a_200
def cycle(edge, target):
    step = edge / target
    def move(a): return [a[0] - 2 * step * a[0] * (a[0] ** 2 - target)]
    def slope(a): return 1 + 2 * edge - 6 * step * a**2
    a = descent(move, [(target / 2).sqrt()], 200)[0]
    a = point_at_rest(lambda a: move(move([a]))[0], lambda a: slope(a) * slope(move([a])[0]), a)
    one, two = abs(a), abs(move([a])[0])
    return (one + two) / 2, abs(one - two) / 2

def mean_is_the_central_flow(edge, target):  # |m^2 / ((1/eta + y)/3) - 1| - 10^-6
    m, _ = cycle(edge, target)
    return [abs(3 * m**2 / (target / edge + target) - 1) - ratio(1, 10**6), 2 * edge - 1]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = mean_is_the_central_flow(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
