"""Wu et al. 2020, Lemma 2.5 and Theorem 2.6 I: the closed forms against 60-digit arithmetic and against the flow."""

import decimal

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from implicit_bias.theory import weight_normalisation as theory

EPS = np.finfo(np.float64).eps
DIGITS = decimal.Context(prec=60)


def draws(number, seed=0):
    """(g0, orthogonal, g_star, ratio), log-uniform, with c from 1e-3 to 1e2 and g0 on both sides of g*.

    A third of the |w_perp(0)| are 1 - 1e-12 .. 1 - 1e-1 and a few are 1, where G can be large; the rest are uniform.
    """
    rng = np.random.default_rng(seed)
    ratio = 10 ** rng.uniform(-3, 2, number)
    g_star = 10 ** rng.uniform(-1, 1, number)
    g0 = 10 ** rng.uniform(-1.5, 1.5, number)
    orthogonal = rng.uniform(0, 1, number)
    orthogonal[::3] = 1 - 10 ** rng.uniform(-12, -1, orthogonal[::3].size)
    orthogonal[::50] = 1
    return g0, orthogonal, g_star, ratio


def side_of_root(excess_square, g0, orthogonal, g_star, ratio):
    """E - (g*^2 + E) a exp((g0^2 - g*^2 - E)/c) to 60 digits, E = G - g*^2: negative below the root, positive above.

    Divided by G it is 1 - g*^2/G - a exp((g0^2 - G)/c), increasing in G, so a change of sign encloses the one root.
    """
    with decimal.localcontext(DIGITS):
        g0, orthogonal, g_star, ratio = (decimal.Decimal(float(value)) for value in (g0, orthogonal, g_star, ratio))
        exponent = (g0**2 - g_star**2 - excess_square) / ratio
        return excess_square - (g_star**2 + excess_square) * orthogonal**2 * exponent.exp()


def encloses(centre, relative, g0, orthogonal, g_star, ratio, *, offset):
    """Whether the root E lies in centre * (1 -+ relative) - offset * g*^2."""
    with decimal.localcontext(DIGITS):
        shift = offset * decimal.Decimal(float(g_star)) ** 2
        centre, relative = decimal.Decimal(centre), decimal.Decimal(float(relative))
        below, above = centre * (1 - relative) - shift, centre * (1 + relative) - shift
        root_is_above = below <= 0 or side_of_root(below, g0, orthogonal, g_star, ratio) < 0  # E > 0 always holds
        return root_is_above and side_of_root(above, g0, orthogonal, g_star, ratio) > 0


def conditioning(g0, orthogonal, g_star, ratio):
    """z = E/g*^2, and by how much relative errors in the terms of log(z/(1+z)) + k z = l are magnified in z.

    The terms are log a, (g0^2 - g*^2)/c, log(z/(1+z)) and k z; an error d in their sum moves log z by
    d / (1/(1+z) + k z).
    """
    z = (theory.limit_excess(g0, orthogonal, g_star, ratio) / g_star) ** 2
    k = g_star**2 / ratio
    terms = 2 * np.abs(np.log(orthogonal)) + np.abs(g0**2 - g_star**2) / ratio + np.log1p(1 / z) + k * z
    return z, terms / (1 / (1 + z) + k * z)


@pytest.fixture(scope="module")
def random_parameters():
    """600 draws without those whose excess is below 1e-150, where its square leaves float64's range."""
    parameters = np.array(draws(600))
    return parameters[:, theory.limit_excess(*parameters) > 1e-150]


def test_limit_square_is_the_root_of_the_exact_law(random_parameters):
    """G (1 - a exp((g0^2 - G)/c)) = g*^2, as a certified enclosure of the root.

    Tolerance: each of the four terms carries at most 2 ulp (their roundings, argument included), which moves log z by
    2 eps * conditioning and log G by z/(1+z) of that; forming g*^2 (1 + z) adds at most 4 roundings.
    """
    square = theory.limit_square(*random_parameters)
    z, magnified = conditioning(*random_parameters)
    tolerance = EPS * (4 + 2 * magnified * z / (1 + z))
    assert all(
        encloses(centre, relative, *values, offset=1)
        for centre, relative, values in zip(square, tolerance, random_parameters.T, strict=True)
    )
    assert np.median(tolerance) < 10 * EPS  # the enclosure is tight: most roots are known to a few ulp


def test_limit_excess_keeps_relative_accuracy_far_below_the_rounding_of_its_square(random_parameters):
    """|x_inf - x*|^2 = G - g*^2 as a certified enclosure, also where float64 has G = g*^2.

    Tolerance: as for G, without the factor z/(1+z); squaring the excess to 60 digits doubles its relative error.
    """
    excess = theory.limit_excess(*random_parameters)
    _, magnified = conditioning(*random_parameters)
    assert np.sum(excess < 1e-9 * random_parameters[2]) > 50  # G - g*^2 would be zero there
    with decimal.localcontext(DIGITS):
        squares = [decimal.Decimal(float(value)) ** 2 for value in excess]
    tolerance = EPS * (4 + 2 * magnified)
    assert all(
        encloses(centre, relative, *values, offset=0)
        for centre, relative, values in zip(squares, tolerance, random_parameters.T, strict=True)
    )


def test_limit_norm_square_and_excess_are_one_triangle():
    """|x_inf|^2 = g*^2 + |x_inf - x*|^2; each side carries a handful of roundings."""
    parameters = draws(5000, seed=1)
    norm, square, excess = (f(*parameters) for f in (theory.limit_norm, theory.limit_square, theory.limit_excess))
    np.testing.assert_allclose(norm**2, square, rtol=8 * EPS)
    np.testing.assert_allclose(parameters[2] ** 2 + excess**2, square, rtol=8 * EPS)


def test_the_extremes_are_the_limits_of_the_law():
    """a = 0: G = g*^2. c -> 0: G -> max(g*^2, g0^2). c -> infinity: G -> g*^2/(1 - a). No overflow on the way."""
    assert theory.limit_square(3.0, 0.0, 2.0, [1e-300, 1e-3, 1.0, 1e300]).tolist() == [4.0] * 4
    assert theory.limit_excess(3.0, 0.0, 2.0, 1.0) == 0.0
    # G = g0^2 + c log(a / (1 - g*^2/G)): the correction is c log(.64 / (5/9)) < c / 6.
    np.testing.assert_allclose(theory.limit_square(3.0, 0.8, 2.0, 1e-12), 9.0, rtol=1e-12)
    assert theory.limit_square(2.0, 0.8, 3.0, 1e-12) == 9.0
    # a exp((g0^2 - G)/c) = a (1 + O(1/c)).
    np.testing.assert_allclose(theory.limit_square(3.0, 0.8, 2.0, 1e12), 4.0 / 0.36, rtol=1e-10)
    # a = 1, c -> infinity: G (G - g0^2)/c = g*^2 (1 + O(1/sqrt(c))), so G = g* sqrt(c) (1 + O(1/sqrt(c))).
    np.testing.assert_allclose(theory.limit_square(0.0, 1.0, 2.0, 1e20), 2e10, rtol=1e-9)
    # E = g*^2 a exp(-(g*^2 - g0^2)/c) at -2400 in the exponent: E underflows, its root does not.
    np.testing.assert_allclose(np.log(theory.limit_excess(1.0, 1.0, 7.0, 0.04)), np.log(7) - 600, rtol=4 * EPS)


def test_arguments_broadcast_scalars_stay_scalars_and_missing_runs_stay_missing():
    g0, orthogonal = np.linspace(0.1, 5, 7)[:, None], np.array([0.0, 0.3, np.nan])
    table = theory.limit_square(g0, orthogonal, g_star=np.float32(3), ratio=1)
    assert table.shape == (7, 3) and table.dtype == np.float64
    assert np.isnan(table).tolist() == [[False, False, True]] * 7
    assert isinstance(theory.limit_norm(1, 0.5, 2, 1), float)
    assert theory.limit_excess(g0=0.4, orthogonal=0.3, g_star=3, ratio=1) == theory.limit_excess(-0.4, 0.3, 3, 1)


def test_labelled_arrays_broadcast_by_name():
    xarray = pytest.importorskip("xarray")
    scale = xarray.DataArray([0.1, 1.0, 4.0], dims="scale")
    orthogonal = xarray.DataArray([0.0, 0.5, 0.9, 1.0], dims="seed")
    closer = (theory.closer_than_descent, theory.closer_than_printed_descent)
    for function in (theory.limit_square, theory.printed_limit_norm, *closer):
        labelled = function(scale, orthogonal, 3.0, 0.5)
        plain = function(scale.values[:, None], orthogonal.values, 3.0, 0.5)
        np.testing.assert_array_equal(labelled.transpose("scale", "seed"), plain)


@pytest.mark.parametrize(
    ("field", "value"),
    [("ratio", 0.0), ("ratio", -1.0), ("ratio", np.inf), ("g_star", 0.0), ("orthogonal", 1.5), ("orthogonal", -0.1)],
)
def test_values_outside_the_theorem_are_refused_by_name(field, value):
    values = dict(g0=1.0, orthogonal=0.5, g_star=2.0, ratio=1.0) | {field: [1.0, value]}
    closer = (theory.closer_than_descent, theory.closer_than_printed_descent)
    for function in (theory.limit_square, theory.printed_limit_excess, *closer):
        with pytest.raises(ValueError, match=f"^{field} must"):
            function(**values)


def test_equation_7_misses_the_planar_example_by_the_documented_amount():
    """A = [1, 0], y = 1, w0 = [0, 1], c = 1, so g* = |w_perp(0)| = 1: the second coordinate of x_inf is the excess.

    Each expected number is the known value to four decimals, hence 5e-5.
    """
    g0 = np.array([0.0, 1.0, 1.5])
    np.testing.assert_allclose(theory.limit_excess(g0, 1.0, 1.0, 1.0), [0.5916, 0.8980, 1.3078], atol=5e-5)
    np.testing.assert_allclose(theory.printed_limit_excess(g0, 1.0, 1.0, 1.0), [0.6065, 1.0, 1.8682], atol=5e-5)
    np.testing.assert_allclose(theory.gradient_descent_limit_excess(g0, 1.0), g0)  # the text prints g*, here 1


def test_exact_over_printed_excess_is_the_factor_that_equation_7_drops():
    """|x_inf - x*| = printed * (|g_inf|/g*) exp(-(G - g*^2)/2c).

    In logarithms, so that the tolerance is absolute: 2 ulp of each exponent and logarithm, and the relative error
    2 eps (1 + magnified) of G - g*^2, which enters by its logarithm and through (G - g*^2)/2c.
    """
    parameters = np.array(draws(5000, seed=2))
    exact, printed = theory.limit_excess(*parameters), theory.printed_limit_excess(*parameters)
    inside = (exact > 1e-150) & np.isfinite(printed)
    g0, _, g_star, ratio = parameters[:, inside]
    exact, printed, norm = exact[inside], printed[inside], theory.limit_norm(*parameters[:, inside])
    logarithms = np.log(exact), np.log(printed), np.log(norm / g_star)
    exponents = (g0**2 - g_star**2) / (2 * ratio), exact**2 / (2 * ratio)
    _, magnified = conditioning(*parameters[:, inside])
    tolerance = 2 * EPS * sum(np.abs(term) for term in logarithms + exponents)
    tolerance += 2 * EPS * (1 + magnified) * (1 + exact**2 / (2 * ratio))
    assert inside.sum() > 3500
    assert np.all(np.abs(logarithms[0] - logarithms[1] - logarithms[2] + exponents[1]) <= tolerance)
    np.testing.assert_allclose(
        theory.printed_limit_norm(*parameters[:, inside]), np.hypot(g_star, printed), rtol=4 * EPS
    )


def test_logarithmic_mean_is_stable_and_lies_between_geometric_and_arithmetic_mean():
    """b < a (1 + d): the mean is a (1 + d/2 - d^2/12 + d^3/24 ...), to 8 ulp for d up to 1e-5 (next term 1e-20)."""
    d = 10.0 ** np.arange(-15, -4)
    a = np.full_like(d, 3.7)
    b = a * (1 + d)
    d = (b - a) / a  # as rounded
    np.testing.assert_allclose(theory.logarithmic_mean(a, b), a * (1 + d / 2 - d**2 / 12 + d**3 / 24), rtol=8 * EPS)
    rng = np.random.default_rng(3)
    a, b = 10 ** rng.uniform(-6, 6, (2, 1000))
    mean = theory.logarithmic_mean(a, b)
    np.testing.assert_array_equal(mean, theory.logarithmic_mean(b, a))
    np.testing.assert_allclose(mean * np.log(a / b), a - b, rtol=1e-12)  # log(a/b) loses up to 1/|log(a/b)| ~ 1e3 ulp
    assert np.all((np.sqrt(a * b) < mean) & (mean < (a + b) / 2))
    assert theory.logarithmic_mean([2.0, 0.0, 0.0], [2.0, 5.0, 0.0]).tolist() == [2.0, 0.0, 0.0]


def test_closer_than_descent_agrees_with_the_two_limits():
    """c < LM(G, g0^2) if G > g0^2, c > LM if G < g0^2: the sign of |x_gd - x*| - |x_wn - x*| in 20,000 random cases.

    Near a tie the sign is rounding's; both excesses are good to eps times the conditioning of the law.
    """
    parameters = np.array(draws(20_000, seed=4))
    parameters = parameters[:, theory.limit_excess(*parameters) > 1e-150]
    g0, orthogonal, _, _ = parameters
    gap = theory.gradient_descent_limit_excess(g0, orthogonal) / theory.limit_excess(*parameters) - 1
    _, magnified = conditioning(*parameters)
    decided = np.abs(gap) > 10 * EPS * (1 + magnified)
    slack = theory.closer_than_descent(*parameters)
    assert np.all(np.sign(slack[decided]) == np.sign(gap[decided]))
    assert np.sum(~decided) < 20
    # Each branch of the criterion, with each answer, was met many times.
    outward = theory.limit_norm(*parameters) > g0
    assert min(np.sum(outward & (slack > 0)), np.sum(outward & (slack < 0))) > 1000
    assert min(np.sum(~outward & (slack > 0)), np.sum(~outward & (slack < 0))) > 1000


def test_closer_than_descent_is_zero_where_both_reach_the_least_norm_solution():
    assert theory.closer_than_descent(g0=0.5, orthogonal=0.0, g_star=1.0, ratio=0.1) == 0.0


def test_closer_than_printed_descent_agrees_with_the_limit():
    """K - g0^2 > c log(1 + a) is the sign of g* |w_perp| - |x_wn - x*| in 20,000 random cases; c <= g*^2 is enough."""
    parameters = np.array(draws(20_000, seed=5))
    parameters = parameters[:, theory.limit_excess(*parameters) > 1e-150]
    g0, orthogonal, g_star, ratio = parameters
    excess = theory.limit_excess(*parameters)
    gap = 1 - excess / (g_star * orthogonal)
    _, magnified = conditioning(*parameters)
    decided = np.abs(gap) > 10 * EPS * (1 + magnified)
    slack = theory.closer_than_printed_descent(*parameters)
    assert np.all(np.sign(slack[decided]) == np.sign(gap[decided]))
    assert np.sum(~decided) < 20 and min(np.sum(slack > 0), np.sum(slack < 0)) > 1000
    enough = (ratio <= g_star**2) & (g0 <= g_star)
    assert np.sum(enough) > 1000 and np.all(slack[enough] > 0)
    assert theory.closer_than_printed_descent(g0=0.5, orthogonal=0.0, g_star=1.0, ratio=0.1) == 0.0


# name: (ratio, g0, |w0|, cosine of the angle between w0's row-space part and x*)
FLOWS = {
    "small ratio": (0.4, 0.3, 1.0, 0.6),
    "one to one": (1.0, 0.5, 1.0, 0.6),
    "large ratio": (5.0, 1.0, 1.0, 0.6),
    "start above g*": (1.0, 2.5, 1.0, 0.6),
    "g crosses zero": (5.0, 0.2, 1.0, -0.6),
    "w0 not of unit norm": (0.5, 0.4, 2.0, 0.6),
}
RTOL, ATOL = 1e-12, 1e-14


@pytest.fixture(scope="module", params=FLOWS.values(), ids=FLOWS.keys())
def solved(request):
    """A flow to loss 5e-25 on a random 5 x 12 problem: singular values 0.8 .. 1.6, g* = 2, |w_perp(0)|/|w0| = 0.8."""
    ratio, g0, weight_norm, cosine = request.param
    rng = np.random.default_rng(5)
    left, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    right, _ = np.linalg.qr(rng.standard_normal((12, 12)))
    rows, kernel = right[:, :5], right[:, 5:]
    A = left @ np.diag(np.linspace(0.8, 1.6, 5)) @ rows.T
    x_star = 2.0 * rows @ _unit(rng.standard_normal(5))
    across = rows @ _unit(rng.standard_normal(5))
    across = _unit(across - (across @ _unit(x_star)) * _unit(x_star))
    row_part = cosine * _unit(x_star) + np.sqrt(1 - cosine**2) * across
    w0 = weight_norm * (0.6 * row_part + 0.8 * kernel @ _unit(rng.standard_normal(7)))
    y = A @ x_star

    def residual(time, state):
        return np.linalg.norm(A @ (state[0] * _unit(state[1:])) - y) - 1e-12

    residual.terminal = True
    solution = solve_ivp(
        theory.flow(A, y, ratio), (0, 1e4), np.r_[g0, w0], method="DOP853", rtol=RTOL, atol=ATOL, events=residual
    )
    assert solution.status == 1  # reached zero loss: the theorem's hypothesis
    return dict(
        A=A,
        y=y,
        x_star=x_star,
        w0=w0,
        g0=g0,
        kernel=kernel,
        solution=solution,
        weight_norm=weight_norm,
        ratio=theory.effective_ratio(ratio, weight_norm),
        # Each step errs by RTOL of a state of size < 3; along the set of solutions, which is neutral, errors add up.
        error=3 * RTOL * solution.t.size,
    )


def _unit(vector):
    return vector / np.linalg.norm(vector)


def test_the_flow_ends_at_the_exact_limit(solved):
    """Theorem 2.6 I, exact form: x_inf = x* + g_inf w_perp(0) exp((g0^2 - G)/2c), with the sign that g has at the end.

    Tolerance: the integrator's accumulated error, times 2 for the slope of the limit in the invariant, here at most
    1.2. The distance still to go is residual / 0.8, of the order of RTOL.
    """
    g0, x_star, ratio, tolerance = solved["g0"], solved["x_star"], solved["ratio"], 2 * solved["error"]
    g_end, w_end = solved["solution"].y[0, -1], solved["solution"].y[1:, -1]
    x_end = g_end * _unit(w_end)
    w_perp = solved["kernel"] @ solved["kernel"].T @ solved["w0"] / solved["weight_norm"]
    parameters = (g0, np.linalg.norm(w_perp), np.linalg.norm(x_star), ratio)
    square = theory.limit_square(*parameters)
    predicted = x_star + np.sign(g_end) * np.sqrt(square) * w_perp * np.exp((g0**2 - square) / (2 * ratio))
    np.testing.assert_allclose(x_end, predicted, rtol=0, atol=tolerance)
    np.testing.assert_allclose(np.linalg.norm(x_end), theory.limit_norm(*parameters), rtol=0, atol=tolerance)
    np.testing.assert_allclose(abs(g_end), theory.limit_norm(*parameters), rtol=0, atol=tolerance)
    np.testing.assert_allclose(np.linalg.norm(x_end - x_star), theory.limit_excess(*parameters), rtol=0, atol=tolerance)
    # Equation (7) as printed misses by far more than any error of the solver.
    assert abs(theory.printed_limit_excess(*parameters) - np.linalg.norm(x_end - x_star)) > 100 * tolerance
    # The criterion judges the measured distances.
    descent = theory.gradient_descent_limit_excess(g0, parameters[1])
    assert np.sign(theory.closer_than_descent(*parameters)) == np.sign(descent - np.linalg.norm(x_end - x_star))


def test_the_invariant_of_lemma_2_5_is_constant_along_the_flow(solved):
    """log|w_perp| + g^2/2c, for w/|w| and the effective ratio; the direction of w_perp and |w| are constant as well.

    Tolerance: an error e in the state is e/|w_perp| in log|w_perp| and |g| e/c in g^2/2c; |g| < 3.
    """
    g, w = solved["solution"].y[0], solved["solution"].y[1:]
    perp = solved["kernel"].T @ w / solved["weight_norm"]  # [7, times]
    size = np.linalg.norm(perp, axis=0)
    drift = np.ptp(theory.log_invariant(np.log(size), g, solved["ratio"]))
    assert size.min() < 0.9 * size.max()  # w_perp has moved: the test is about something
    assert drift <= solved["error"] * (1 / size.min() + 3 / solved["ratio"])
    np.testing.assert_allclose(perp / size, perp[:, :1] / size[0] + 0 * perp, atol=solved["error"] / size.min())
    np.testing.assert_allclose(np.linalg.norm(w, axis=0), solved["weight_norm"], rtol=solved["error"])


def test_g_changes_sign_in_one_of_the_flows_and_at_most_once(solved):
    """The loss at g = 0 is |y|^2/2 and it decreases: g has at most one zero, and none from a start below that loss."""
    A, y, g = solved["A"], solved["y"], solved["solution"].y[0]
    starts_below = np.linalg.norm(A @ (solved["g0"] * _unit(solved["w0"])) - y) < np.linalg.norm(y)
    crossings = np.sum(np.diff(np.sign(g)) != 0)
    assert crossings == (0 if starts_below else 1)


def test_the_flow_is_minus_the_gradient_of_the_loss_in_g_and_w():
    """dg/dt = -c dh/dg, dw/dt = -grad_w h, h(g, w) = |g A w/|w| - y|^2 / 2, by central differences at |w| = 1.7.

    Tolerance: at step 1e-5 the truncation is 1e-10 third derivatives, the rounding eps h / 1e-5 ~ 1e-10.
    """
    rng = np.random.default_rng(6)
    A, y, state = rng.standard_normal((5, 12)), rng.standard_normal(5), rng.standard_normal(13)
    state[1:] *= 1.7 / np.linalg.norm(state[1:])

    def loss(state):
        return np.sum((A @ (state[0] * state[1:] / np.linalg.norm(state[1:])) - y) ** 2) / 2

    step = 1e-5 * np.eye(13)
    gradient = np.array([(loss(state + e) - loss(state - e)) / 2e-5 for e in step])
    gradient[0] *= 0.3
    np.testing.assert_allclose(theory.flow(A, y, ratio=0.3)(0.0, state), -gradient, atol=1e-8)


def test_descent_on_x_keeps_the_orthogonal_part_of_its_start(solved):
    """x0 = g0 w0 leads to x* + g0 w_perp(0); the kernel part is untouched, so pinv gives the limit to rounding."""
    A, y, x0 = solved["A"], solved["y"], solved["g0"] * _unit(solved["w0"])
    limit = x0 + np.linalg.pinv(A) @ (y - A @ x0)
    orthogonal = np.linalg.norm(solved["kernel"].T @ solved["w0"]) / solved["weight_norm"]
    g_star = np.linalg.norm(solved["x_star"])
    # pinv at condition number 2 in dimension 12: well below 100 ulp.
    np.testing.assert_allclose(
        np.linalg.norm(limit), theory.gradient_descent_limit_norm(solved["g0"], orthogonal, g_star), rtol=100 * EPS
    )
    np.testing.assert_allclose(
        np.linalg.norm(limit - solved["x_star"]),
        theory.gradient_descent_limit_excess(solved["g0"], orthogonal),
        rtol=100 * EPS,
    )


def test_log_invariant_takes_traced_arrays():
    """Operators only: inside `jit` it gives what NumPy gives, to the rounding of the dtype that jax uses."""
    jax = pytest.importorskip("jax")
    log_orthogonal, g = np.linspace(-3, 0, 5), np.linspace(0.5, 2, 5)
    compiled = jax.jit(theory.log_invariant)(jax.numpy.asarray(log_orthogonal), jax.numpy.asarray(g), 0.7)
    rounding = float(jax.numpy.finfo(compiled.dtype).eps)
    np.testing.assert_allclose(compiled, theory.log_invariant(log_orthogonal, g, 0.7), rtol=0, atol=32 * rounding)
