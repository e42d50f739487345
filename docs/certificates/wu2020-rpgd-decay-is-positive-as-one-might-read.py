r"""wu2020/decay:rpgd-decay-is-positive-as-one-might-read, against Wu et al. 2020, Appendix A (the reading that lambda_t is a
decay), is PROVED FALSE. The statement: $\lambda_t \ge 0$ at every step. Every number below is a ball that holds the true
one, and what is compared is certain."""
from math import inf, nextafter
from flint import arb, ctx, fmpq
ctx.prec = ctx.cap = 512
DATA = dict(A=[[1, 0]], y=[3], w0=[0, 1], g0=fmpq(1, 2), c=1, step=fmpq(1, 50))
STEPS = []  # the lengths of those that were enclosed
def dot(a, b): return sum((p * q for p, q in zip(a, b, strict=True)), arb(0))
def norm(a): return dot(a, a).nonnegative_part().sqrt()
def plus(a, b, s=1): return [p + s * q for p, q in zip(a, b, strict=True)]  # a + s b
def unit(a): return [p / norm(a) for p in a]
def ratio(p, q=1): return arb(fmpq(p, q))
def misfit(A, y, x): return [t - dot(row, x) for row, t in zip(A, y, strict=True)]  # y - A x
def downhill(A, y, x): return [dot(column, r) for r in [misfit(A, y, x)] for column in zip(*A)]  # A^T (y - A x)

def projected(A, y, c, eta, state):  # rPGD, x = g w, |w| = 1: g + eta c w.q, and w + eta g q over its length, q = A^T (y - A x)
    g, *w = state
    q, s = downhill(A, y, [g * v for v in w]), eta * g
    length = (1 + 2 * s * dot(w, q) + s**2 * dot(q, q)).sqrt()  # with |w| = 1: of balls of w it would lose a digit a step
    return [g + eta * c * dot(w, q), *(v / length for v in plus(w, q, s))]

def descent(move, x, count):
    for _ in range(count):
        x = move(x)
        STEPS.append(1)
    return x

# -lambda_t = g'/(g |v|) - 1, v = w + eta g q, the greatest of 1,000 steps
def rpgd_decay_is_positive_as_one_might_read(A, y, w0, g0, c, step):
    state, greatest = [g0, *unit(w0)], ratio(-1)
    for _ in range(1000):
        g, *w = state
        state = descent(lambda state: projected(A, y, c, step, state), state, 1)
        v = plus(w, downhill(A, y, [g * u for u in w]), step * g)
        greatest = greatest.max(state[0] / (g * norm(v)) - 1)
    return [greatest]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = rpgd_decay_is_positive_as_one_might_read(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
