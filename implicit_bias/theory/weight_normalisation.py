r"""The limit of weight-normalised least squares: (g0, |w_perp(0)|, g*, c) -> |x_inf|, |x_inf - x*|.

**Source.** Wu, Dobriban, Ren, Wu, Li, Gunasekar, Ward, Liu, "Implicit regularization and convergence for weight
normalization", NeurIPS 2020 (arXiv 1911.07956): equation (4), Lemma 2.5 with (6), Theorem 2.6 I with (7).

**The flow.** x = g w/|w|, loss |A x - y|^2 / 2, and g moves c times as fast as w. With |w0| = 1 and q = A^T (y - A x),

    dg/dt = c w^T q,      dw/dt = g (I - w w^T) q.                                                                  (4)

(Printed with r = y - A x and the opposite signs, which would climb the loss.) |w| = 1 is conserved.

**The invariant.** q lies in the row space of A, so w_perp, the part of w orthogonal to it, obeys
dw_perp/dt = -g (w^T q) w_perp = -(g/c) (dg/dt) w_perp, hence for any loss of A x

    w_perp(t) exp(g(t)^2 / 2c) = constant.                                                                          (6)

The norm |w_perp| goes with the exponent g^2/2c, its square with g^2/c.

**The theorem.** If A A^T > 0, |w0| = 1, c > 0 and the loss tends to zero (it does if |A g0 w0 - y| < |y|), then

    printed:   x_inf = x* + g*    w_perp(0) exp((g0^2 - g*^2) / 2c),                                                (7)
    exact:     x_inf = x* + g_inf w_perp(0) exp((g0^2 - G) / 2c),      G = g_inf^2,
               G (1 - a exp((g0^2 - G) / c)) = g*^2,                   a = |w_perp(0)|^2,

where x* = pinv(A) y is the solution of least norm and g* = |x*|. The exact form is two lines: the part of x_inf in the
row space is x*, so 1 = |w|^2 = g*^2/G + |w_perp|^2, and (6) gives |w_perp|^2 = a exp((g0^2 - G)/c). So (7) replaces
g_inf by g*, although |g_inf| > g* unless w_perp(0) = 0, and

    exact |x_inf - x*| = printed |x_inf - x*| * (|g_inf|/g*) exp(-(G - g*^2)/2c),

a factor near 1 where G - g*^2 is small against both g*^2 and c. For g* > 0 the root is unique: the left side of its
equation increases wherever it is positive.

The law fixes g_inf^2, not the sign of g_inf: g can cross zero, at most once, and keeps the sign of g0 if
|A g0 w0 - y| < |y|. Norms and distances are free of that sign.

**Descent.** Gradient descent on x from the same x0 = g0 w0 tends to x* + g0 w_perp(0) (printed: x* + g* w_perp(0)).

**Conventions.** `orthogonal` is |w_perp(0)| for |w0| = 1, `ratio` is c. All arguments broadcast, NaN gives NaN, and
since only ufuncs are used, labelled arrays broadcast by name. In the plane, with A = [1, 0], y = 1, w0 = [0, 1], c = 1
and g0 -> 0, the paper's own example:

>>> exact = limit_excess(g0=0.0, orthogonal=1.0, g_star=1.0, ratio=1.0)
>>> printed = printed_limit_excess(g0=0.0, orthogonal=1.0, g_star=1.0, ratio=1.0)
>>> print(f"{exact:.4f} {printed:.4f}")
0.5916 0.6065
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Values = Any  # a number, an array or a labelled array: what takes part in arithmetic and in NumPy's ufuncs

# From the lower bound below, five steps reach rounding for k in 1e-12..1e12 and |l| in 1e-14..1e13; one is spare.
_NEWTON_STEPS = 6


def effective_ratio(ratio: Values, weight_norm: Values) -> Values:
    """The ratio c |w0|^2 of the flow of the unit vector w/|w|.

    In the parameters (g, w) the gradient in w is (g/|w|) P_w q, so u = w/|w| moves by du/dt = (g/|w|^2) P_u q while
    dg/dt = c u^T q. |w| = nu is conserved: in the time t/nu^2 this is the flow (4) of (g, u) with ratio c nu^2.
    For |w0| = nu pass `orthogonal = |w_perp(0)| / nu` and this ratio.
    """
    return ratio * weight_norm**2


def limit_square(g0: Values, orthogonal: Values, g_star: Values, ratio: Values) -> Values:
    """G = g_inf^2 = |x_inf|^2: the root of G (1 - a exp((g0^2 - G)/c)) = g*^2 with a = orthogonal^2.

    Its limits say what the ratio does. c -> 0: G -> max(g*^2, g0^2), if orthogonal > 0. c -> infinity:
    G -> g*^2 / (1 - a), for then g settles before w has moved and |w_perp| keeps its first value. Neither is descent.
    Both ends are refused: at c = 0 the scale is frozen and the flow obeys Theorem 2.6 II, not this law.

    >>> root = limit_square(g0=0.5, orthogonal=0.8, g_star=3.0, ratio=2.0)
    >>> bool(abs(root * (1 - 0.64 * np.exp((0.25 - root) / 2)) - 9) < 1e-14 * 9)
    True
    """
    return _float64(g_star) ** 2 * (1 + _relative_excess(g0, orthogonal, g_star, ratio) ** 2)


def limit_norm(g0: Values, orthogonal: Values, g_star: Values, ratio: Values) -> Values:
    """|x_inf| = |g_inf|, the square root of `limit_square`."""
    return _float64(g_star) * np.hypot(1, _relative_excess(g0, orthogonal, g_star, ratio))


def limit_excess(g0: Values, orthogonal: Values, g_star: Values, ratio: Values) -> Values:
    """|x_inf - x*| = sqrt(G - g*^2), found directly: it keeps its relative accuracy far below the rounding of G.

    >>> print(f"{limit_excess(g0=0.1, orthogonal=0.9, g_star=3.0, ratio=0.05):.6e}")
    2.445062e-39
    """
    return _float64(g_star) * _relative_excess(g0, orthogonal, g_star, ratio)


def printed_limit_excess(g0: Values, orthogonal: Values, g_star: Values, ratio: Values) -> Values:
    """|x_inf - x*| by equation (7) as printed: g* |w_perp(0)| exp((g0^2 - g*^2) / 2c), infinite if it overflows."""
    g0, orthogonal, g_star, ratio = _checked(g0, orthogonal, g_star, ratio)
    with np.errstate(over="ignore"):
        return g_star * orthogonal * np.exp((g0 - g_star) * (g0 + g_star) / (2 * ratio))


def printed_limit_norm(g0: Values, orthogonal: Values, g_star: Values, ratio: Values) -> Values:
    """|x_inf| by equation (7) as printed: x* and w_perp(0) are orthogonal."""
    return np.hypot(g_star, printed_limit_excess(g0, orthogonal, g_star, ratio))


def gradient_descent_limit_norm(g0: Values, orthogonal: Values, g_star: Values) -> Values:
    """|x_inf| of gradient descent (or its flow) on x from x0 = g0 w0: sqrt(g*^2 + g0^2 |w_perp(0)|^2)."""
    return np.hypot(g_star, gradient_descent_limit_excess(g0, orthogonal))


def gradient_descent_limit_excess(g0: Values, orthogonal: Values) -> Values:
    """|x_inf - x*| of gradient descent on x from x0 = g0 w0: |g0| |w_perp(0)|, which no step changes."""
    return np.abs(_float64(g0)) * orthogonal


def logarithmic_mean(a: Values, b: Values) -> Values:
    """(a - b) / log(a/b) for a, b >= 0: the value a at a = b, and 0 if one of them is 0.

    >>> print(f"{logarithmic_mean(1.0, np.e):.6f} {logarithmic_mean(2.0, 2.0 + 1e-9):.10f}")
    1.718282 2.0000000005
    """
    smaller, larger = np.minimum(a, b), np.maximum(a, b)
    difference = larger - smaller  # exact for a ~ b, and log1p keeps what log(a/b) would lose
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        mean = difference / np.log1p(difference / smaller)
    # A mean lies between its arguments; at a = b the quotient is 0/0, and fmax takes the other value.
    return np.minimum(np.fmax(mean, smaller), larger)


def closer_than_descent(g0: Values, orthogonal: Values, g_star: Values, ratio: Values) -> Values:
    """A signed slack: positive if and only if the exact limit is strictly closer to x* than that of gradient descent.

    |x_inf - x*|^2 is G a exp((g0^2 - G)/c) here and g0^2 a there, so weight normalisation is closer iff
    log(G/g0^2) < (G - g0^2)/c. With M the logarithmic mean of G and g0^2 this reads c < M if G > g0^2, and c > M if
    G < g0^2; the slack is M - c or c - M. It is 0 where both limits are equally far (G = g0^2 or orthogonal = 0).
    "Closer if g0 < g*", as the text has it, is true only for c below the mean:

    >>> print(np.sign(closer_than_descent(g0=0.5, orthogonal=0.9, g_star=1.0, ratio=[0.5, 5.0])))
    [ 1. -1.]
    """
    square, start = limit_square(g0, orthogonal, g_star, ratio), _float64(g0) ** 2
    return np.sign(square - start) * np.sign(orthogonal) * (logarithmic_mean(square, start) - ratio)


def closer_than_printed_descent(g0: Values, orthogonal: Values, g_star: Values, ratio: Values) -> Values:
    """A signed slack: positive if and only if the exact limit is closer to x* than that of descent as printed.

    That is said to be g* |w_perp(0)| from x*. With a = orthogonal^2, |x_inf - x*|^2 = G - g*^2 < g*^2 a reads
    G < K = g*^2 (1 + a). As G (1 - a exp((g0^2 - G)/c)) grows with G where it is positive and is g*^2 at the root, this
    is K (1 - a exp((g0^2 - K)/c)) > g*^2, or K - g0^2 > c log(1 + a): the slack is the difference. By log(1 + a) <= a,
    g0 <= g* and c <= g*^2 are enough. It is 0 where both distances are (orthogonal = 0).

    >>> print(np.sign(closer_than_printed_descent(g0=0.5, orthogonal=0.9, g_star=1.0, ratio=[1.0, 5.0])))
    [ 1. -1.]
    """
    g0, orthogonal, g_star, ratio = _checked(g0, orthogonal, g_star, ratio)
    a = orthogonal * orthogonal
    return np.sign(orthogonal) * ((g_star - g0) * (g_star + g0) + a * g_star * g_star - ratio * np.log1p(a))


def log_invariant(log_orthogonal: Values, g: Values, ratio: Values) -> Values:
    """log|w_perp| + g^2 / 2c, constant along the flow (Lemma 2.5), for every loss of A x; needs |w0| = 1 and c > 0.

    Operators only, so that it serves inside a compiled run as well. The logarithm is an argument because |w_perp| may
    leave float64's range long before the invariant does.
    """
    return log_orthogonal + g * g / (2 * ratio)


def flow(A: np.ndarray, y: np.ndarray, ratio: float) -> Callable[[float, np.ndarray], np.ndarray]:
    """The right-hand side (t, [g, w]) -> d[g, w]/dt in full coordinates, for any |w| and for an outside solver.

    Minus the gradient of h(g, w) = |g A w/|w| - y|^2 / 2, the g part times `ratio`; with u = w/|w|, q = A^T (y - A x):
    dg/dt = c u^T q and dw/dt = (g/|w|) (q - u u^T q). `ratio = 0` freezes g.
    """

    def velocity(time: float, state: np.ndarray) -> np.ndarray:
        del time
        g, w = state[0], state[1:]
        norm = np.linalg.norm(w)
        u = w / norm
        q = A.T @ (y - A @ (g * u))  # minus the gradient in x
        return np.concatenate([[ratio * (u @ q)], g / norm * (q - u * (u @ q))])

    return velocity


def _relative_excess(g0: Values, orthogonal: Values, g_star: Values, ratio: Values) -> Values:
    """s = |x_inf - x*| / g*, by Newton's method on a concave function.

    With z = s^2 = (G - g*^2)/g*^2 the law becomes, in logarithms and with two parameters only,

        psi(z) = log(z / (1 + z)) + k z = l,      k = g*^2/c,      l = log a + (g0^2 - g*^2)/c.

    psi is increasing and concave on z > 0, so Newton's iterates from below the root rise to it and never pass it.
    Nothing overflows for small c, and nothing cancels: z itself is the unknown, not G. It is carried as its root s,
    which underflows only where the answer does.
    """
    g0, orthogonal, g_star, ratio = _checked(g0, orthogonal, g_star, ratio)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        k = g_star * g_star / ratio
        level = 2 * np.log(orthogonal) + (g0 - g_star) * (g0 + g_star) / ratio
        s = _lower_bound(k, level)
        for _ in range(_NEWTON_STEPS):
            z = s * s
            small, large = np.minimum(s, 1), np.maximum(s, 1)
            log_fraction = 2 * np.log(small) - np.log1p(np.square(small / large))  # log(z/(1+z)), both tails exact
            growth = (level - log_fraction - k * z) / (1 / (1 + z) + k * z)  # dz/z of Newton's step
            # s = 0 (orthogonal = 0, or underflow) must stay 0: there growth is NaN or infinite, so bound it.
            s = s * np.sqrt(1 + np.fmin(np.fmax(growth, -0.5), 1e6))
    return s


def _lower_bound(k: Values, level: Values) -> Values:
    """A lower bound of the root s of psi(s^2) = level: the largest of three, each sharp in its own region.

    z small:     log(z/(1+z)) <= log z, so z >= W(k e^l)/k >= e^l / (1 + k e^l), for Lambert's W <= log(1 + .).
    z large:     log(1 + 1/z) >= 2/(2z + 1), so 2k z^2 + (k - 2l) z - (l + 2) >= 0, which is a quadratic.
    l positive:  log(z/(1+z)) <= 0, so z >= l/k. It takes over where the quadratic's stable root formula loses.
    """
    exponential = np.exp((level - np.logaddexp(0, np.log(k) + level)) / 2)
    constant, slope = np.maximum(level + 2, 0), k - 2 * level
    quadratic = 2 * constant / (np.abs(slope) + np.hypot(slope, np.sqrt(8 * k) * np.sqrt(constant)))
    return np.maximum(exponential, np.sqrt(np.maximum(quadratic, level / k)))


def _checked(g0: Values, orthogonal: Values, g_star: Values, ratio: Values) -> tuple[Values, Values, Values, Values]:
    """The four arguments as float64, or an error that names the field. NaN (a run that is not there) passes."""
    if np.any(np.less_equal(ratio, 0)) or np.any(np.isinf(ratio)):
        raise ValueError(
            "ratio must be positive and finite: the invariant |w_perp| exp(g^2/2c) divides by it "
            "(at ratio = 0 the scale g is frozen; the limit of a large ratio is in the docstring of limit_square)"
        )
    if np.any(np.less_equal(g_star, 0)):
        raise ValueError("g_star must be positive: for y = 0 the limit is not determined by the invariant")
    if np.any(np.less(orthogonal, 0)) or np.any(np.greater(orthogonal, 1 + 1e-6)):  # 1e-6: measured in float32
        raise ValueError("orthogonal must lie in [0, 1]: it is |w_perp(0)| / |w0| (see effective_ratio)")
    return _float64(g0), _float64(orthogonal), _float64(g_star), _float64(ratio)


def _float64(values: Values) -> Values:
    return np.multiply(values, np.float64(1))  # promotes, and unlike np.asarray it leaves a labelled array labelled
