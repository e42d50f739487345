r"""wu2020/invariant:squared-norm-invariant-as-read, against Wu et al. 2020, eq. (6), scalar form as the text layer reads, is
PROVED FALSE. The statement: $|w_\perp|^2 \exp(g^2/(2c))$ is constant under the flow (the exponent that is right is
$g^2/c$). Every number below is a ball that holds the true one, and what is compared is certain."""
from math import inf, nextafter
from flint import arb, arb_mat, arb_series, ctx, fmpq
ctx.prec = ctx.cap = 64
DATA = dict(objective='square', A=[[1, 0]], y=[2], w0=[0, 1], g0=1, c=1)
STEPS = []  # the lengths of those that were enclosed
def dot(a, b): return sum((p * q for p, q in zip(a, b, strict=True)), arb(0))
def norm(a): return dot(a, a).nonnegative_part().sqrt()
def plus(a, b, s=1): return [p + s * q for p, q in zip(a, b, strict=True)]  # a + s b
def unit(a): return [p / norm(a) for p in a]
def within(r): return arb(0, r)  # [-r, r]
def ratio(p, q=1): return arb(fmpq(p, q))
def gram(A): return arb_mat(A) * arb_mat(A).transpose()
def pinv(A, y): return (arb_mat(A).transpose() * gram(A).solve(arb_mat([[t] for t in y]))).entries()  # A^T (A A^T)^{-1} y
def orthogonal(A, w): return plus(w, pinv(A, [dot(row, w) for row in A]), -1)  # the part of w that A does not see
def misfit(A, y, x): return [t - dot(row, x) for row, t in zip(A, y, strict=True)]  # y - A x
def downhill(A, y, x): return [dot(column, r) for r in [misfit(A, y, x)] for column in zip(*A)]  # A^T (y - A x)

def normalised(A, y, c, state):  # x = g w, |w| = 1: dg = c w.q, dw = g (q - (w.q) w), q = A^T (y - A x)
    g, *w = state
    q = downhill(A, y, [g * v for v in w])
    return [c * dot(w, q), *(g * v for v in plus(q, w, -dot(w, q)))]

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

# |log(|w_perp|^2 exp(g^2/2c)) - what it was at first|, at t = 1
def squared_norm_invariant_as_read(objective, A, y, w0, g0, c):
    if objective != "square": raise ArithmeticError(f"the {objective} loss is not done here")
    g, *w = flow(lambda state: normalised(A, y, c, state), [g0, *unit(w0)], ratio(1))
    perp = norm(orthogonal(A, w)) / norm(orthogonal(A, unit(w0)))
    return [abs(2 * perp.log() + (g**2 - g0**2) / (2 * c))]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = squared_norm_invariant_as_read(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
