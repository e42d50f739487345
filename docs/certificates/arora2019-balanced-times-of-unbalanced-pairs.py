r"""arora2019/times:balanced-times-of-unbalanced-pairs, against the balanced law, taken for any start, is PROVED FALSE. The
statement: $N = 2$: $t = \log[s (S - s_0) / (s_0 (S - s))] / 2S$, balanced or not. Every number below is a ball that holds
the true one, and what is compared is certain."""
from math import inf, nextafter
from flint import arb, arb_series, ctx, fmpq
ctx.prec = ctx.cap = 64
DATA = dict(start=fmpq(1, 100), delta=fmpq(1, 2))
STEPS = []  # the lengths of those that were enclosed
def dot(a, b): return sum((p * q for p, q in zip(a, b, strict=True)), arb(0))
def within(r): return arb(0, r)  # [-r, r]
def ratio(p, q=1): return arb(fmpq(p, q))

def taylor(field, x, order):  # coefficients in t of the solution through x: x_{k+1} = f(x)_k / (k + 1)
    terms = [[v] for v in x]
    for k in range(order):
        for own, f in zip(terms, field([arb_series(t, k + 1) for t in terms]), strict=True): own.append(f[k] / (k + 1))
    return terms

def flow(field, x, h):  # after h; by halves until Picard's map takes the box into itself and the remainder over it is small
    n, reach = ctx.prec // 4, 2 * h * max(abs(f).upper() for _, f in taylor(field, x, 1))
    box = [v + within(reach) for v in x]
    inside = all(b.contains(v + arb(0.5, 0.5) * h * f) for b, v, (_, f) in zip(box, x, taylor(field, box, 1)))
    rest = [own[-1] * h**n for own in taylor(field, box, n if inside else 0)]
    if inside and all(r.abs_upper() < arb(2) ** (-3 * ctx.prec // 4) for r in rest):
        STEPS.append(h)
        return [dot(own, [h**k for k in range(n)]) + r for own, r in zip(taylor(field, x, n - 1), rest)]
    if h < fmpq(1, 2**16) or not all(v.rad() < 1 for v in x): raise ArithmeticError(f"{ctx.prec} bits are not enough")
    return flow(field, flow(field, x, h / 2), h / 2)

# |log[s (S - s0) / (s0 (S - s))] / 2S - t| at t = 1/2, S = 1, s = u v, from u v = s0 and u^2 - v^2 = delta
def balanced_times_of_unbalanced_pairs(start, delta):
    def field(state):
        left = 1 - state[0] * state[1]
        return [state[1] * left, state[0] * left]
    both, time = (delta**2 + 4 * start**2).sqrt(), ratio(1, 2)
    new = flow(field, [((both + delta) / 2).sqrt(), ((both - delta) / 2).sqrt()], time)
    s = new[0] * new[1]
    return [abs((s * (1 - start) / (start * (1 - s))).log() / 2 - time)]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = balanced_times_of_unbalanced_pairs(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
