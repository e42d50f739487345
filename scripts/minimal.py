r"""Which interpolator does weight normalisation choose?  Figure 1 of Wu et al. (NeurIPS 2020), in plain JAX.

Least squares, 1/2 |A x - y|^2, with fewer rows than columns: many x fit, and training chooses one of them. Three ways to
write x = g u, started at the same point g0 w0, |w0| = 1:

    gd     x                              the choice depends on g0: |x|^2 -> g0^2 |w_perp|^2 + g*^2
    wn     x = g w / |w|                  close to the least norm g* = |pinv(A) y|, for every small g0
    rpgd   x = g w, w projected to |w| = 1 after each step

    python scripts/minimal.py --figure robustness.png

This is what the studies of `implicit_bias` do, without `implicit_bias`: the same random draws, the same steps.
"""

import argparse
import zlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

ROWS, COLUMNS, G_STAR = 20, 50, 3.0
STEP, RATIO, TOLERANCE, MAX_STEPS = 5e-3, 1.0, 1e-5, 200_000
METHODS = ("gd", "wn", "rpgd")


def draw(seed):
    """A, y and w0. One stream of random numbers for each, so that w0 has nothing to do with the rows of A."""

    def stream(name):
        return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))

    # A_ij ~ N(0, 1/m)
    A = jax.random.normal(stream("operator"), (ROWS, COLUMNS)) / np.sqrt(ROWS)
    # y = A x0, rescaled so that |pinv(A) y| = g*
    y = A @ jax.random.normal(stream("target"), (COLUMNS,))
    y = y * G_STAR / jnp.linalg.norm(jnp.linalg.pinv(A) @ y)
    # w0 uniform on the sphere
    w0 = jax.random.normal(stream("direction"), (COLUMNS,))
    return A, y, w0 / jnp.linalg.norm(w0)


def predictor(method, theta):
    """theta -> x"""
    g, w = theta
    return {"gd": w, "wn": g * w / jnp.linalg.norm(w), "rpgd": g * w}[method]


def step(method, theta, A, y):
    """theta_k -> theta_{k+1}. Both gradients are taken at the old point; g moves RATIO times as fast as w."""
    g, w = theta
    # q = grad_x 1/2 |A x - y|^2
    q = A.T @ (A @ predictor(method, theta) - y)
    if method == "gd":
        # x <- x - eta q
        return g, w - STEP * q
    if method == "wn":
        # dL/dg = u.q and dL/dw = (g / |w|) (q - (u.q) u), with u = w / |w|
        norm = jnp.linalg.norm(w)
        u = w / norm
        return g - STEP * RATIO * (u @ q), w - STEP * g / norm * (q - (u @ q) * u)
    # dL/dg = w.q and dL/dw = g q; then w goes back to the sphere
    new = w - STEP * g * q
    return g - STEP * RATIO * (w @ q), new / jnp.linalg.norm(new)


def run(method, scale, seed):
    """One run, to the first point where the loss is below TOLERANCE."""
    A, y, w0 = draw(seed)

    def loss(theta):
        return 0.5 * jnp.sum((A @ predictor(method, theta) - y) ** 2)

    def going(carry):
        return (loss(carry[0]) >= TOLERANCE) & (carry[1] < MAX_STEPS)

    def one(carry):
        return step(method, carry[0], A, y), carry[1] + 1

    # x0 = g0 w0 in all three
    start = (scale, scale * w0 if method == "gd" else w0)
    theta, steps = jax.lax.while_loop(going, one, (start, 0))
    # |w_perp|, w_perp = (I - pinv(A) A) w0
    orthogonal = jnp.linalg.norm(w0 - jnp.linalg.pinv(A) @ (A @ w0))
    return {
        "norm": jnp.linalg.norm(predictor(method, theta)),
        "loss": loss(theta),
        "steps": steps,
        "orthogonal": orthogonal,
    }


@jax.jit
def _sweep(scales, seeds):
    grid = {m: jax.vmap(jax.vmap(partial(run, m), in_axes=(0, None)), in_axes=(None, 0)) for m in METHODS}
    results = [grid[m](scales, seeds) for m in METHODS]
    return jax.tree.map(lambda *each: jnp.stack(each), *results)


def sweep(scales, seeds):
    """norm, loss, steps and orthogonal of every run, each [methods, seeds, scales], in float64."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, _sweep(jnp.asarray(scales, dtype=float), jnp.asarray(seeds)))


def gd_law(g0, orthogonal):
    """|x| of gradient descent: what is orthogonal to the rows of A never moves."""
    return np.sqrt(g0**2 * orthogonal**2 + G_STAR**2)


def wn_law(g0, orthogonal):
    """|x| of weight normalisation: the root G = |x|^2 of G (1 - a exp((g0^2 - G)/c)) = g*^2, a = |w_perp|^2, by bisection."""
    a = orthogonal**2
    # G >= g*^2; and at G >= max(g0^2, g*^2 / (1 - a)) the left side is at least G (1 - a) >= g*^2
    low, high = np.full(np.broadcast_shapes(g0.shape, a.shape), G_STAR**2), np.maximum(g0**2, G_STAR**2 / (1 - a))
    for _ in range(60):
        middle = (low + high) / 2
        above = middle * (1 - a * np.exp((g0**2 - middle) / RATIO)) > G_STAR**2
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.sqrt(high)


def draw_figure(scales, results, path):
    """Measurement as points with bands of one standard deviation over seeds, theory as lines."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.2), constrained_layout=True)
    looks = [("GD", "#D55E00", "s", "none"), ("WN", "#0072B2", "o", "none"), ("rPGD", "#000000", "x", "full")]
    for (label, colour, marker, fill), norm in zip(looks, results["norm"]):
        mean, std = norm.mean(0), norm.std(0)
        axes.fill_between(scales, mean - std, mean + std, color=colour, alpha=0.2, linewidth=0)
        axes.plot(scales, mean, marker, color=colour, fillstyle=fill, label=f"{label}, mean and standard deviation")
    fine, orthogonal = np.geomspace(scales[0], scales[-1], 200), results["orthogonal"][0, :, :1]
    wn, gd = r"WN law, $G(1-a\,e^{(g_0^2-G)/c})=g_*^2$", r"GD law, $\sqrt{g_0^2|w_\perp|^2+g_*^2}$"
    axes.plot(fine, wn_law(fine, orthogonal).mean(0), "-", color="black", linewidth=1, label=wn)
    axes.plot(fine, gd_law(fine, orthogonal).mean(0), "--", color="black", linewidth=1, label=gd)
    title = f"{ROWS} x {COLUMNS} least squares, {norm.shape[0]} seeds, c = {RATIO:g}, loss < {TOLERANCE:g}"
    axes.set(xscale="log", xlabel="initial scale $g_0$", ylabel="$|x|$ where training stops", title=title)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", metavar="PATH", help="also draw the figure")
    path = parser.parse_args().figure
    scales, seeds = np.geomspace(1e-2, 4, 24), range(8)
    results = sweep(scales, seeds)
    orthogonal = results["orthogonal"][0]
    gd, wn, rpgd = results["norm"]
    print(f"mean |x| over {len(seeds)} seeds, g* = {G_STAR:g}\n      g0       gd      law       wn      law     rpgd")
    columns = [gd, gd_law(scales, orthogonal), wn, wn_law(scales, orthogonal), rpgd]
    for row in list(zip(scales, *(c.mean(0) for c in columns)))[::3]:
        print("".join(f"{number:9.4f}" for number in row)[1:])
    if path:
        draw_figure(scales, results, path)


if __name__ == "__main__":
    main()
