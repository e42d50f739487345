r"""li2020intrinsic/equilibrium:turn-as-printed, against Li et al. 2020 (recalled, to first order in eta lam), read as an
equality, is PROVED FALSE. The statement: a step turns $w$ by the angle $\sqrt{2 \eta \lambda}$. Every number below is a
ball that holds the true one, and what is compared is certain."""
from math import inf, nextafter
from flint import arb, ctx, fmpq
ctx.prec = ctx.cap = 1024
DATA = dict(intrinsic=fmpq(3, 5), step=fmpq(1, 2), strength=2, scale=1)
STEPS = []  # the lengths of those that were enclosed
def dot(a, b): return sum((p * q for p, q in zip(a, b, strict=True)), arb(0))
def norm(a): return dot(a, a).nonnegative_part().sqrt()
def plus(a, b, s=1): return [p + s * q for p, q in zip(a, b, strict=True)]  # a + s b
def unit(a): return [p / norm(a) for p in a]
def ratio(p, q=1): return arb(fmpq(p, q))

def descent(move, x, count):
    for _ in range(count):
        x = move(x)
        STEPS.append(1)
    return x

# w after 400 steps with d orthogonal to w, |d| |w| = sqrt(G), and after one more
def at_equilibrium(intrinsic, step, strength, scale):
    def move(w):
        turned = [-w[1], w[0]]
        return plus([(1 - intrinsic) * v for v in w], turned, -step * strength.sqrt() / dot(w, w))
    w = descent(move, [scale, 0 * scale], 400)
    return w, move(w)

def turn_as_printed(intrinsic, step, strength, scale):  # the angle from w to w' over sqrt(2 eta lam), less 1
    w, new = at_equilibrium(intrinsic, step, strength, scale)
    angle = dot(unit(w), unit(new)).acos()
    return [angle / (2 * intrinsic).sqrt() - 1, intrinsic - ratio(1, 10)]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = turn_as_printed(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
