r"""wu2020/slow:fits-in-time-by-the-loss, against Wu et al. 2020, Theorem 2.7, second rate (as the text layer reads), is PROVED
FALSE. The statement: for every $\varepsilon$, $L \le \varepsilon$ by $T = \log(L_0/\varepsilon) / (\lambda_{\min}
\min(\delta, c)) + (2 - \log(g_0/\delta)) / \lambda_{\max} [g_0 < \delta]$. Every number below is a ball that holds the true
one, and what is compared is certain."""
from math import inf, nextafter
from flint import acb_mat, arb, arb_mat, arb_series, ctx, fmpq
ctx.prec = ctx.cap = 64
DATA = dict(A=[[1, 0, 0], [0, fmpq(1, 2), 0]], y=[fmpq(6, 85), fmpq(4761, 340)], w0=[12, 1, 12], g0=fmpq(1, 10), c=1)
STEPS = []  # the lengths of those that were enclosed
def dot(a, b): return sum((p * q for p, q in zip(a, b, strict=True)), arb(0))
def norm(a): return dot(a, a).nonnegative_part().sqrt()
def plus(a, b, s=1): return [p + s * q for p, q in zip(a, b, strict=True)]  # a + s b
def unit(a): return [p / norm(a) for p in a]
def within(r): return arb(0, r)  # [-r, r]
def ratio(p, q=1): return arb(fmpq(p, q))
def gram(A): return arb_mat(A) * arb_mat(A).transpose()
def misfit(A, y, x): return [t - dot(row, x) for row, t in zip(A, y, strict=True)]  # y - A x
def downhill(A, y, x): return [dot(column, r) for r in [misfit(A, y, x)] for column in zip(*A)]  # A^T (y - A x)
def eigenvalues(A):  # of A A^T, in order
    found = sorted((v.real for v in acb_mat(gram(A)).eig(multiple=True)), key=float)
    if not all(a < b for a, b in zip(found, found[1:])):
        raise ArithmeticError(f"the eigenvalues of A A^T are not told apart in {ctx.prec} bits")
    return found
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

# t / T(L(t)) - 1 at t = 1/100, T = log(L0/L) / (lambda_min min(delta, c)), for g0 >= delta
def fits_in_time_by_the_loss(A, y, w0, g0, c):
    first = [g0, *unit(w0)]
    last = flow(lambda state: normalised(A, y, c, state), first, ratio(1, 100))
    r0, r = (norm(misfit(A, y, [g * v for v in w])) for g, *w in (first, last))
    least, most = eigenvalues(A)[0], eigenvalues(A)[-1]
    delta = (dot(y, y) - r0**2) / most
    return [least * delta.min(c) / (200 * (r0 / r).log()) - 1, r0 - r, delta, g0 - delta]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = fits_in_time_by_the_loss(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
