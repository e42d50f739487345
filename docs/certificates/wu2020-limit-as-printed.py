r"""wu2020/limit:limit-as-printed, against Wu et al. 2020, eq. (7), is PROVED FALSE. The statement: $x_\infty = x_* + g_*
w_\perp(0) \exp((g_0^2 - g_*^2)/2c)$. Every number below is a ball that holds the true one, and what is compared is certain."""
from math import inf, nextafter
from flint import arb, arb_mat, arb_series, ctx, fmpq
ctx.prec = ctx.cap = 128
DATA = dict(A=[[1, 0]], y=[3], w0=[0, 1], g0=4, c=1)
STEPS = []  # the lengths of those that were enclosed
def dot(a, b): return sum((p * q for p, q in zip(a, b, strict=True)), arb(0))
def norm(a): return dot(a, a).nonnegative_part().sqrt()
def plus(a, b, s=1): return [p + s * q for p, q in zip(a, b, strict=True)]  # a + s b
def unit(a): return [p / norm(a) for p in a]
def within(r): return arb(0, r)  # [-r, r]
def gram(A): return arb_mat(A) * arb_mat(A).transpose()
def pinv(A, y): return (arb_mat(A).transpose() * gram(A).solve(arb_mat([[t] for t in y]))).entries()  # A^T (A A^T)^{-1} y
def orthogonal(A, w): return plus(w, pinv(A, [dot(row, w) for row in A]), -1)  # the part of w that A does not see
def misfit(A, y, x): return [t - dot(row, x) for row, t in zip(A, y, strict=True)]  # y - A x
def downhill(A, y, x): return [dot(column, r) for r in [misfit(A, y, x)] for column in zip(*A)]  # A^T (y - A x)
def extremes(A): return gram(A).det() / gram(A).trace() ** (len(A) - 1), gram(A).trace()  # below, above eigenvalues of A A^T
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
def limit_of_flow(A, y, c, x, near=fmpq(1, 1000)):  # while |g| keeps its half |A x - y| falls by a rate of least min(c, g^2/4)
    least, most = extremes(A)
    while len(STEPS) < 2000 and all(v.rad() < near for v in x):
        g, *w = x
        d = most.sqrt() * norm(misfit(A, y, [g * v for v in w])) / (least * c.min(g * g / 4))  # g, w move by c d, 2 |g| d
        if c > 0 and c * d + 2 * abs(g) * d < (abs(g) / 2).min(arb(near)):
            return [g + within(c * d), *(v + within(2 * abs(g) * d) for v in w)]
        x = flow(lambda state: normalised(A, y, c, state), x, 2 * (STEPS or [arb(1)])[-1])
    raise ArithmeticError(f"the flow is not near its end after {len(STEPS)} steps in {ctx.prec} bits")

def limit_as_printed(A, y, w0, g0, c):  # |x_inf - x* - g* w_perp(0) exp((g0^2 - g*^2)/2c)|
    g, *w = limit_of_flow(A, y, c, [g0, *unit(w0)])
    least, perp = pinv(A, y), orthogonal(A, unit(w0))
    factor = norm(least) * ((g0**2 - dot(least, least)) / (2 * c)).exp()
    return [norm(plus([g * v for v in w], plus(least, perp, factor), -1))]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = limit_as_printed(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
