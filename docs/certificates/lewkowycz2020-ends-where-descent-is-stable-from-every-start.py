r"""lewkowycz2020/catapult:ends-where-descent-is-stable-from-every-start, against Lewkowycz et al. 2020, derived at every width,
asked without the null set, is PROVED FALSE. The statement: $2 < s_0 < 4$: the end has $\eta \lambda \le 2$, also from $z_0
= s_0 - 1$, where a step lands on $f = 0$. Every number below is a ball that holds the true one, and what is compared is
certain."""
from math import inf, nextafter
from flint import arb, ctx, fmpq
ctx.prec = ctx.cap = 64
DATA = dict(v=1, w=fmpq(13, 8), step=1)
STEPS = []  # the lengths of those that were enclosed
def dot(a, b): return sum((p * q for p, q in zip(a, b, strict=True)), arb(0))
def ratio(p, q=1): return arb(fmpq(p, q))

def descent(move, x, count):
    for _ in range(count):
        x = move(x)
        STEPS.append(1)
    return x

def between_2_and_4(s0):  # slacks of 2 < s_0 < 4, by 10^-6
    margin = ratio(1, 10**6)
    return [s0 - 2 - margin, 4 - s0 - margin]

def ends_where_descent_is_stable_from_every_start(v, w, step):  # s - 2 where the first step has landed on f = 0, exactly
    f = v * w
    new = descent(lambda x: [x[0] - step * f * x[1], x[1] - step * f * x[0]], [v, w], 1)
    s0, s = step * (v**2 + w**2), step * dot(new, new)
    return [s - 2, *between_2_and_4(s0), -abs(new[0] * new[1])]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = ends_where_descent_is_stable_from_every_start(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
