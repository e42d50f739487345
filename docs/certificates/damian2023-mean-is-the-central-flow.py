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

# m and d of the cycle of two |a| = m +- d to which the run from a^2 = y/2 tends, and a slack: on a ball about a_200 two steps
# contract, and stay inside, so that it holds the one point to which all of it tends
def cycle(edge, target):
    step = edge / target
    def move(a): return [a[0] - 2 * step * a[0] * (a[0] ** 2 - target)]
    def slope(a): return 1 + 2 * edge - 6 * step * a**2
    a = descent(move, [(target / 2).sqrt()], 200)[0]
    ball = a + within(target.sqrt() / 10**6)
    slopes = slope(ball) * slope(move([ball])[0])
    stays = ball.contains(move(move([ball.mid()]))[0] + slopes * (ball - ball.mid()))
    one, two = abs(ball), abs(move([ball])[0])
    return (one + two) / 2, abs(one - two) / 2, 1 - abs(slopes) if stays else ratio(-1)

def mean_is_the_central_flow(edge, target):  # |m^2 / ((1/eta + y)/3) - 1| - 10^-6
    m, _, contracts = cycle(edge, target)
    return [abs(3 * m**2 / (target / edge + target) - 1) - ratio(1, 10**6), 2 * edge - 1, contracts]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = mean_is_the_central_flow(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
