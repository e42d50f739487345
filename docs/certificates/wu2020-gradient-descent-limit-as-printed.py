r"""wu2020/robustness:gradient-descent-limit-as-printed, against Wu et al. 2020, after Theorem 2.6 (as printed), is PROVED
FALSE. The statement: GD ends at $x_* + g_* w_\perp(0)$: $|x| = \sqrt{g_*^2 + g_*^2 |w_\perp(0)|^2}$. Every number below is
a ball that holds the true one, and what is compared is certain."""
from math import inf, nextafter
from flint import arb, arb_mat, ctx, fmpq
ctx.prec = ctx.cap = 64
DATA = dict(A=[[1, 0]], y=[3], w0=[0, 1], g0=1, step=fmpq(1, 200))
STEPS = []  # the lengths of those that were enclosed
def dot(a, b): return sum((p * q for p, q in zip(a, b, strict=True)), arb(0))
def norm(a): return dot(a, a).nonnegative_part().sqrt()
def plus(a, b, s=1): return [p + s * q for p, q in zip(a, b, strict=True)]  # a + s b
def unit(a): return [p / norm(a) for p in a]
def ratio(p, q=1): return arb(fmpq(p, q))
def gram(A): return arb_mat(A) * arb_mat(A).transpose()
def pinv(A, y): return (arb_mat(A).transpose() * gram(A).solve(arb_mat([[t] for t in y]))).entries()  # A^T (A A^T)^{-1} y
def orthogonal(A, w): return plus(w, pinv(A, [dot(row, w) for row in A]), -1)  # the part of w that A does not see
def extremes(A): return gram(A).det() / gram(A).trace() ** (len(A) - 1), gram(A).trace()  # below, above eigenvalues of A A^T

# ||x_inf| - sqrt(g*^2 + g*^2 |w_perp(0)|^2)|, x_inf = x* + g0 w_perp(0): steps move x in the row space, and contract it there
def gradient_descent_limit_as_printed(A, y, w0, g0, step):
    least, perp = pinv(A, y), orthogonal(A, unit(w0))
    ends = norm(plus(least, perp, g0)), norm(least) * (1 + dot(perp, perp)).sqrt()
    apart = abs((g0 / norm(least)).log()) - ratio(1, 10)
    contracts = ratio(999_999, 10**6) - abs(1 - step * extremes(A)[1])
    return [abs(ends[0] - ends[1]), contracts, apart]

def ball(v): return [ball(u) for u in v] if isinstance(v, list) else v if isinstance(v, str) else arb(v)
residual, *slacks = gradient_descent_limit_as_printed(**{name: ball(value) for name, value in DATA.items()})
low, high = nextafter(float(residual.lower()), -inf), nextafter(float(residual.upper()), inf)
verdict = "PROVED FALSE" if residual > 0 and all(s >= 0 for s in slacks) else f"not proved, {[s.str(3) for s in slacks]}"
print(f"{verdict}: residual in [{low}, {high}]{' > 0' * (low > 0)} ({ctx.prec} bits, {len(STEPS)} steps)")
