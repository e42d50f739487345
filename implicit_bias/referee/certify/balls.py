r"""Motions and where they end, in ball arithmetic: every number is a ball of python-flint's that holds the true one.

    flow(field, x, h), limit_of_flow            Taylor's polynomial and its remainder; and the end, from where the loss is small
    descent(move, x, count), limit_of_descent   every step; likewise
    point_at_rest(move, slope, x)               the point to which the numbers near x tend
    normalised; weight_normalised, projected    the flow's field, dx/dt; a step of WN and of rPGD, x'
    pinv, orthogonal                            x* = pinv(A) y, and the part of a vector that A does not see

A certificate copies what it calls from this file, so that it stands alone in few lines: short functions of lists of balls,
untyped. A state is [g, w...] where x = g w/|w|, and A is a list of rows. A comparison is true where it is certain, so that
`residual > 0` is a proof; what cannot be shown raises an ArithmeticError that says so.

>>> ctx.prec = ctx.cap = 64
>>> round(float(flow(lambda x: [-x[0]], [arb(1)], arb(1))[0]), 9)
0.367879441
"""

from flint import acb_mat, arb, arb_mat, arb_series, ctx, fmpq

STEPS = []  # the lengths of those that were enclosed

# -- vectors -----------------------------------------------------------------------------------------------------------


def dot(a, b):
    return sum((p * q for p, q in zip(a, b, strict=True)), arb(0))


def norm(a):
    return dot(a, a).nonnegative_part().sqrt()


def plus(a, b, s=1):
    """a + s b"""
    return [p + s * q for p, q in zip(a, b, strict=True)]


def unit(a):
    return [p / norm(a) for p in a]


def within(r):
    """[-r, r]"""
    return arb(0, r)


def ratio(p, q=1):
    return arb(fmpq(p, q))


def gram(A):
    return arb_mat(A) * arb_mat(A).transpose()


def pinv(A, y):
    """A^T (A A^T)^{-1} y"""
    return (arb_mat(A).transpose() * gram(A).solve(arb_mat([[t] for t in y]))).entries()


def orthogonal(A, w):
    """the part of w that A does not see"""
    return plus(w, pinv(A, [dot(row, w) for row in A]), -1)


def misfit(A, y, x):
    """y - A x"""
    return [t - dot(row, x) for row, t in zip(A, y, strict=True)]


def downhill(A, y, x):
    """A^T (y - A x)"""
    return [dot(column, r) for r in [misfit(A, y, x)] for column in zip(*A)]


def extremes(A):
    """below, above eigenvalues of A A^T"""
    return gram(A).det() / gram(A).trace() ** (len(A) - 1), gram(A).trace()


def eigenvalues(A):
    """of A A^T, in order"""
    found = sorted((v.real for v in acb_mat(gram(A)).eig(multiple=True)), key=float)
    if not all(a < b for a, b in zip(found, found[1:])):
        raise ArithmeticError(f"the eigenvalues of A A^T are not told apart in {ctx.prec} bits")
    return found


# -- the flow ----------------------------------------------------------------------------------------------------------


def normalised(A, y, c, state):
    """x = g w, |w| = 1: dg = c w.q, dw = g (q - (w.q) w), q = A^T (y - A x)"""
    g, *w = state
    q = downhill(A, y, [g * v for v in w])
    return [c * dot(w, q), *(g * v for v in plus(q, w, -dot(w, q)))]


def taylor(field, x, order):
    """coefficients in t of the solution through x: x_{k+1} = f(x)_k / (k + 1)"""
    terms = [[v] for v in x]
    for k in range(order):
        for own, f in zip(terms, field([arb_series(t, k + 1) for t in terms]), strict=True):
            own.append(f[k] / (k + 1))
    return terms


def flow(field, x, h):
    """after h; by halves until Picard's map takes the box into itself and the remainder over it is small"""
    n, reach = ctx.prec // 4, 2 * h * max(abs(f).upper() for _, f in taylor(field, x, 1))
    box = [v + within(reach) for v in x]
    inside = all(b.contains(v + arb(0.5, 0.5) * h * f) for b, v, (_, f) in zip(box, x, taylor(field, box, 1)))
    rest = [own[-1] * h**n for own in taylor(field, box, n if inside else 0)]
    if inside and all(r.abs_upper() < arb(2) ** (-3 * ctx.prec // 4) for r in rest):
        STEPS.append(h)
        return [dot(own, [h**k for k in range(n)]) + r for own, r in zip(taylor(field, x, n - 1), rest)]
    if h < fmpq(1, 2**16) or not all(v.rad() < 1 for v in x):
        raise ArithmeticError(f"{ctx.prec} bits are not enough")
    return flow(field, flow(field, x, h / 2), h / 2)


def limit_of_flow(A, y, c, x, near=fmpq(1, 1000)):
    """while |g| keeps its half |A x - y| falls by a rate of least min(c, g^2/4)"""
    least, most = extremes(A)
    while len(STEPS) < 2000 and all(v.rad() < near for v in x):
        g, *w = x
        d = most.sqrt() * norm(misfit(A, y, [g * v for v in w])) / (least * c.min(g * g / 4))  # g, w move by c d, 2 |g| d
        if c > 0 and c * d + 2 * abs(g) * d < (abs(g) / 2).min(arb(near)):
            return [g + within(c * d), *(v + within(2 * abs(g) * d) for v in w)]
        x = flow(lambda state: normalised(A, y, c, state), x, 2 * (STEPS or [arb(1)])[-1])
    raise ArithmeticError(f"the flow is not near its end after {len(STEPS)} steps in {ctx.prec} bits")


# -- descent -----------------------------------------------------------------------------------------------------------


def weight_normalised(A, y, c, eta, state):
    """x = g u, u = w/|w|: g + eta c u.q, w + eta g/|w| (q - (u.q) u), q = A^T (y - A x)"""
    g, *w = state
    u, q = unit(w), downhill(A, y, [g * v for v in unit(w)])
    return [g + eta * c * dot(u, q), *plus(w, plus(q, u, -dot(u, q)), eta * g / norm(w))]


def projected(A, y, c, eta, state):
    """rPGD, x = g w, |w| = 1: g + eta c w.q, and w + eta g q over its length, q = A^T (y - A x)"""
    g, *w = state
    q, s = downhill(A, y, [g * v for v in w]), eta * g
    length = (1 + 2 * s * dot(w, q) + s**2 * dot(q, q)).sqrt()  # with |w| = 1: of balls of w it would lose a digit a step
    return [g + eta * c * dot(w, q), *(v / length for v in plus(w, q, s))]


def descent(move, x, count):
    for _ in range(count):
        x = move(x)
        STEPS.append(1)
    return x


def point_at_rest(move, slope, x):
    """a ball about x that `move`, of that derivative, takes into itself and contracts: all in it tend to one point"""
    ball = x + within(x / 10**6)
    if not (abs(slope(ball)) < 1 and ball.contains(move(ball.mid()) + slope(ball) * (ball - ball.mid()))):
        raise ArithmeticError(f"{x.str(5)} has not come to rest after {len(STEPS)} steps")
    return ball


def limit_of_descent(A, y, c, eta, move, x, near=fmpq(1, 1000)):
    """A step takes r = y - A x to r - eta A M A^T r, M = c u u^T + (g/|w|)^2 (1 - u u^T), and an error below k |r|^2: while g
    and |w| stay within a quarter of themselves, |r| falls by the factor 1 - p, and g and w move by c d and 2 G d/|w|"""
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
