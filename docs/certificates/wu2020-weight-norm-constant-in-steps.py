r"""wu2020/discrete:weight-norm-constant-in-steps, against Wu et al. 2020, Section 2: |w| is constant under the flow (here asked
of steps), is PROVED FALSE. The statement: $|w| = 1$ at the end of descent. Every number below is a ball that holds the true
one, and what is compared is certain."""
from math import inf, nextafter
from flint import arb, ctx, fmpq
ctx.prec = ctx.cap = 64
DATA = dict(A=[[1, 0]], y=[fmpq(3, 2)], w0=[0, 1], g0=1, c=1, step=fmpq(1, 500))
STEPS = []  # the lengths of those that were enclosed
def dot(a, b): return sum((p * q for p, q in zip(a, b, strict=True)), arb(0))
def norm(a): return dot(a, a).nonnegative_part().sqrt()
def plus(a, b, s=1): return [p + s * q for p, q in zip(a, b, strict=True)]  # a + s b
def unit(a): return [p / norm(a) for p in a]
def misfit(A, y, x): return [t - dot(row, x) for row, t in zip(A, y, strict=True)]  # y - A x
def downhill(A, y, x): return [dot(column, r) for r in [misfit(A, y, x)] for column in zip(*A)]  # A^T (y - A x)

def weight_normalised(A, y, c, eta, state):  # x = g u, u = w/|w|: g + eta c u.q, w + eta g/|w| (q - (u.q) u), q = A^T (y - A x)
    g, *w = state
    u, q = unit(w), downhill(A, y, [g * v for v in unit(w)])
    return [g + eta * c * dot(u, q), *plus(w, plus(q, u, -dot(u, q)), eta * g / norm(w))]

def descent(move, x, count):
    for _ in range(count):
        x = move(x)
        STEPS.append(1)
    return x

# |w|^2 - 1 after 1,000 steps of WN, none of which makes |w| less: a step of w is orthogonal to it
def weight_norm_constant_in_steps(A, y, w0, g0, c, step):
    state = descent(lambda state: weight_normalised(A, y, c, step, state), [g0, *unit(w0)], 1000)
    return [dot(state[1:], state[1:]) - 1]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = weight_norm_constant_in_steps(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
