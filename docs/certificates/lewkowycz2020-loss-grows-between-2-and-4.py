r"""lewkowycz2020/catapult:loss-grows-between-2-and-4, against Lewkowycz et al. 2020, the catapult phase (as read), is PROVED
FALSE. The statement: $2/\lambda_0 < \eta < 4/\lambda_0$: the loss grows before it falls. Every number below is a ball that
holds the true one, and what is compared is certain."""
from math import inf, nextafter
from flint import arb, ctx, fmpq
ctx.prec = ctx.cap = 64
DATA = dict(curvature=3, share=fmpq(9, 10), step=1)
STEPS = []  # the lengths of those that were enclosed
def ratio(p, q=1): return arb(fmpq(p, q))

def descent(move, x, count):
    for _ in range(count):
        x = move(x)
        STEPS.append(1)
    return x

def between_2_and_4(s0):  # slacks of 2 < s_0 < 4, by 10^-6
    margin = ratio(1, 10**6)
    return [s0 - 2 - margin, 4 - s0 - margin]

# the least share of the loss that a step takes, down to s < 2, from where none raises it: z' = (1 - s + z)^2 z
def loss_grows_between_2_and_4(curvature, share, step):
    p, q = (curvature * (1 + share) / 2).sqrt(), (curvature * (1 - share) / 2).sqrt()
    v, w = (p + q) / ratio(2).sqrt(), (p - q) / ratio(2).sqrt()
    least = ratio(1)
    while len(STEPS) < 1000 and not step * (v**2 + w**2) < 2:
        f = v * w
        v, w = descent(lambda x: [x[0] - step * f * x[1], x[1] - step * f * x[0]], [v, w], 1)
        least = least.min(1 - (v * w / f) ** 2)
    return [least, *between_2_and_4(step * curvature), 2 - step * (v**2 + w**2)]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = loss_grows_between_2_and_4(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
