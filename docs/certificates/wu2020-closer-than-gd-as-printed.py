r"""wu2020/excess:closer-than-gd-as-printed, against Wu et al. 2020, after Theorem 2.6 (as printed), is PROVED FALSE. The
statement: WN ends closer to $x_*$ than GD whenever $g_0 \le g_*$; GD at its true limit $x_* + g_0 w_\perp(0)$. Every number
below is a ball that holds the true one, and what is compared is certain."""
from math import inf, nextafter
from flint import arb, arb_mat, ctx, fmpq
ctx.prec = ctx.cap = 64
DATA = dict(method='wn', A=[[1, 0]], y=[2], w0=[0, 1], g0=fmpq(1, 2), c=30, step=fmpq(1, 500))
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
def weight_normalised(A, y, c, eta, state):  # x = g u, u = w/|w|: g + eta c u.q, w + eta g/|w| (q - (u.q) u), q = A^T (y - A x)
    g, *w = state
    u, q = unit(w), downhill(A, y, [g * v for v in unit(w)])
    return [g + eta * c * dot(u, q), *plus(w, plus(q, u, -dot(u, q)), eta * g / norm(w))]
def descent(move, x, count):
    for _ in range(count):
        x = move(x)
        STEPS.append(1)
    return x
# A step takes r = y - A x to r - eta A M A^T r, M = c u u^T + (g/|w|)^2 (1 - u u^T), and an error below k |r|^2: while g and
# |w| stay within a quarter of themselves, |r| falls by the factor 1 - p, and g and w move by c d and 2 G d/|w|
def limit_of_descent(A, y, c, eta, move, x, near=fmpq(1, 1000)):
    (least, most), s = extremes(A), extremes(A)[1].sqrt()
    while norm(x).rad() < 1:
        G, n = 5 * abs(x[0]) / 4, norm(x[1:])
        r, t = norm(misfit(A, y, [x[0] * v for v in unit(x[1:])])), 2 * eta * G / n**2
        k = s**3 * t * (t / 2 * (G + eta * c * s * r) * (1 + t * s * r) + eta * c + eta * G**2)
        p = eta * least * c.min((3 * x[0] / n / 5) ** 2) - k * r
        d = eta * s * r / p
        if p > 0 and eta * most * c.max((G / n) ** 2) <= 1 and 2 * eta * G * s * r < 1:
            if c * d + 2 * G / n * d < (n / 4).min(G / 5).min(arb(near)):
                return [x[0] + within(c * d), *(v + within(2 * G / n * d) for v in x[1:])]
        x = descent(move, x, 100)
    raise ArithmeticError(f"{ctx.prec} bits are not enough for {len(STEPS)} steps")
def end_of_descent(method, A, y, w0, g0, c, step):  # the end x of WN
    if method != "wn": raise ArithmeticError(f"{method} is not done here")
    start = [g0, *unit(w0)]
    g, *w = limit_of_descent(A, y, c, step, lambda state: weight_normalised(A, y, c, step, state), start)
    return [g * v for v in unit(w)]

# |x_inf - x*| of WN or rPGD, less g0 |w_perp(0)|, where gradient descent ends
def closer_than_gd_as_printed(method, A, y, w0, g0, c, step):
    least, perp = pinv(A, y), orthogonal(A, unit(w0))
    excess = norm(plus(end_of_descent(method, A, y, w0, g0, c, step), least, -1))
    return [excess - g0 * norm(perp), norm(least) - g0]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = closer_than_gd_as_printed(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
