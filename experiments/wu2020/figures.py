"""The figures of the Wu et al. 2020 studies: theory as lines, measurement as points with bands over seeds."""

import numpy as np

from implicit_bias._results import Status
from implicit_bias.evidence.figures import COLOURS, Figure
from implicit_bias.theory import weight_normalisation as theory

from . import claims

METHODS = {
    "gd": ("GD", COLOURS["vermillion"], "s"),
    "wn": ("WN", COLOURS["blue"], "o"),
    "rpgd": ("rPGD", COLOURS["sky"], "x"),
}


def _plt():
    import matplotlib.pyplot as plt

    return plt


# -- Figure 1 ----------------------------------------------------------------------------------------------------------


UNFINISHED = [Status.CAPPED, Status.STALLED]


def _sizes(data, method):
    """|x| at the end by seed and scale, nan where the run did not converge, and how many did not."""
    grid = data["gd" if method == "gd" else "wn+rpgd"].to_dataset()
    ds = grid.sel({"method": method})  # `method=` is a word of sel itself
    ds = ds.isel(ratio=0) if "ratio" in ds.dims else ds
    converged = ds.status == Status.CONVERGED
    return ds.norm.isel(record=-1).where(converged), int((~converged).sum()), ds


def _draw_figure_1(data):
    plt = _plt()
    targets = data["gd"].target_norm.values
    drawing, panels = plt.subplots(1, len(targets), figsize=(4.6 * len(targets), 3.7), squeeze=False)
    for panel, target in zip(panels[0], targets):
        for method, (label, colour, marker) in METHODS.items():
            sizes, _, ds = _sizes(data, method)
            sizes, ds = sizes.sel(target_norm=target), ds.sel(target_norm=target)
            mean, spread = sizes.mean("seed"), sizes.std("seed")
            panel.fill_between(ds.scale, mean - spread, mean + spread, color=colour, alpha=0.18, lw=0)
            panel.plot(ds.scale, mean, marker, color=colour, label=f"{label}, measured", mew=1.3, zorder=3)
            lost = ds.norm.isel(record=-1).where(ds.status.isin(UNFINISHED)).transpose("scale", "seed")
            panel.plot(ds.scale, lost, marker, color=colour, mfc="none", ms=7, alpha=0.6)
        gd, wn = _sizes(data, "gd")[2].sel(target_norm=target), _sizes(data, "wn")[2].sel(target_norm=target)
        law = theory.gradient_descent_limit_norm(gd.scale, gd.w_perp, gd.g_star).mean("seed")
        panel.plot(gd.scale, law, "--", color=METHODS["gd"][1], label="GD, exact law", zorder=2)
        law = theory.limit_norm(wn.scale, wn.w_perp, wn.g_star, wn.ratio).mean("seed")
        panel.plot(wn.scale, law, "-", color=METHODS["wn"][1], label="WN, exact law", zorder=2)
        panel.axhline(target, color="black", lw=0.8, ls=":")
        panel.annotate(r"$|x_*|$", (1, target), (4, 0), ("axes fraction", "data"), "offset points", va="center")
        panel.set(xscale="log", xlabel=r"initial size $|x_0| = g_0$", title=rf"$|x_*| = {target:g}$, $c = 1$")
    panels[0][0].set_ylabel(r"size of the solution $|\hat{x}|$")
    panels[0][0].legend(fontsize=8.5)
    return drawing


def _caption_figure_1(data):
    sizes, _, ds = _sizes(data, "wn")
    lost = sum(_sizes(data, m)[1] for m in METHODS)
    return (
        f"Size of the interpolator that each method reaches from the same x0 = g0 u, against g0; mean and standard "
        f"deviation over {ds.sizes['seed']} seeds, stopped at loss 1e-5. Lines: sqrt(g0^2 |w_perp|^2 + g*^2) for GD, and "
        f"sqrt(G), G (1 - |w_perp|^2 exp((g0^2 - G)/c)) = g*^2, for WN. Left: the paper's effect, WN and rPGD stay "
        f"near |x*| for a wide range of g0. Right: with |x*|^2 below c it reverses, and WN from a small start is far "
        f"from x*. {lost} runs did not converge"
        f"{' and are shown one by one with open markers, outside the means' if lost else ''}."
    )


figure_1 = Figure(
    id="figure-1", draw=_draw_figure_1, caption=_caption_figure_1,
    claims=["gradient-descent-limit", "weight-normalisation-limit", "closer-than-gd-as-printed"],
)  # fmt: skip

# -- Theorem 2.6 I -----------------------------------------------------------------------------------------------------


def _map(panel, values, title, **norm):
    mesh = panel.pcolormesh(
        values.scale,
        values.ratio,
        values.transpose("ratio", "scale"),
        shading="nearest",
        edgecolors="face",
        lw=0.3,
        **norm,
    )
    panel.set(xscale="log", yscale="log", xlabel=r"initial size $g_0$", title=title)
    panel.grid(False)
    return mesh


def _draw_limit(ds):
    from matplotlib.colors import LogNorm

    plt = _plt()
    drawing, panels = plt.subplots(1, 2, figsize=(9.6, 3.9), sharey=True)
    # |x_perp| = |g| |w_perp| in logarithms: it falls to e^-45 at c = 0.1, far below the rounding of |x - x*|
    last = ds.isel(record=-1).where(ds.status == Status.CONVERGED)
    measured = np.log(abs(last.g)) + last.log_w_perp
    for panel, law, title in (
        (panels[0], theory.printed_limit_excess(**claims.law(ds)), "eq. (7) as printed"),
        (panels[1], theory.limit_excess(**claims.law(ds)), "exact law"),
    ):
        worst = np.maximum(abs(measured - np.log(law)).max("seed"), 1e-14)
        mesh = _map(panel, worst, title, norm=LogNorm(1e-12, 1e2), cmap="cividis")
        g_star = float(ds.g_star.mean())
        panel.axvline(g_star, color="white", lw=1.2, ls="--")
        text = dict(textcoords="offset points", color="white", ha="right", fontsize=9)
        panel.annotate(r"$g_0 = g_*$", (g_star, 1), (-4, -12), xycoords=("data", "axes fraction"), **text)
    panels[0].set_ylabel(r"ratio $c$")
    label = r"worst $|\log(|x_\perp| / \mathrm{law})|$ over seeds"
    drawing.colorbar(mesh, ax=panels, label=label).outline.set_visible(False)
    return drawing


limit_map = Figure(
    id="limit-map",
    draw=_draw_limit,
    caption="Relative error of both laws for |x_inf - x*|, against the WN flow run to loss 1e-20 (one logarithmic "
    "colour scale). The printed formula errs wherever |x_inf| is not close to g*: at large c everywhere, and by orders "
    "of magnitude at g0 > g*; the exact law holds on the whole map to what the stop rule and the integrator leave.",
    claims=["limit-as-printed", "limit-excess-exact"],
)


def _draw_crossing(ds):
    plt = _plt()
    drawing, panel = plt.subplots(figsize=(5.6, 3.9))
    share = (ds.g.isel(record=-1) < 0).where(ds.status == Status.CONVERGED).mean("seed")
    mesh = _map(panel, share, "where g crosses zero", vmin=0, cmap="cividis")
    panel.set_ylabel(r"ratio $c$")
    drawing.colorbar(mesh, ax=panel, label=r"share of seeds with $g_\infty < 0$").outline.set_visible(False)
    return drawing


crossing_map = Figure(
    id="crossing-map",
    draw=_draw_crossing,
    caption="Share of seeds whose size g ends negative although g0 > 0. These runs start above the loss at zero; "
    "then x_inf = x* - sqrt(G) w_perp(0) exp(...), and a formula that takes g_inf > 0 is off by twice the excess.",
    claims=["size-stays-positive-as-inferred", "size-turns-negative-from-an-opposed-start", "size-keeps-its-sign-below-the-saddle"],
)

# -- Lemma 2.5 ---------------------------------------------------------------------------------------------------------

LOSS_LOOKS = {
    "square": (COLOURS["blue"], "o", "-"),
    "log_cosh": (COLOURS["green"], "s", "--"),
    "logistic": (COLOURS["orange"], "^", "-."),
    "exponential": (COLOURS["purple"], "v", ":"),
}


def _drift(ds):
    return abs(ds.log_invariant - ds.log_invariant.isel(record=0))


def _draw_invariant(data):
    plt = _plt()
    flow, descent = (data[name].to_dataset() for name in ("flow", "wn+rpgd"))
    drawing, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8))
    time = flow.clock.isel(law=0, objective=0)
    for loss, (colour, marker, line) in LOSS_LOOKS.items():
        if loss not in flow.objective:
            continue
        worst = _drift(flow).sel(objective=loss).isel(law=0).max(["seed", "ratio", "scale"])
        left.plot(
            time[1:], np.maximum(worst[1:], 1e-17), line, color=colour, marker=marker, label=loss.replace("_", "-")
        )
        drift = _drift(descent).sel(objective=loss).isel(record=-1)
        for law, fill in (("wn", colour), ("rpgd", "white")):
            middle = drift.sel(law=law).median(["seed", "ratio", "scale"])
            right.plot(descent.step, middle, line, color=colour, marker=marker, mfc=fill)
    left.axhline(1e-8, color="black", lw=0.8, ls=":")
    left.annotate("tolerance", (1, 1e-8), (-2, 3), ("axes fraction", "data"), "offset points", ha="right", fontsize=9)
    left.set(yscale="log", xlabel="time $t$", ylabel=r"worst drift of $\log|w_\perp| + g^2/2c$", title="flow")
    left.legend(ncols=2, fontsize=8.5)
    steps = np.array([descent.step.min(), descent.step.max()], dtype=float)
    anchor = float(_drift(descent).isel(record=-1).median()) / float(np.sqrt(steps.prod()))
    right.plot(steps, anchor * steps, color="black", lw=1, label="slope 1")
    for law, fill in (("WN", "0.4"), ("rPGD", "white")):
        right.plot([], [], "o", color="0.4", mfc=fill, label=law)
    right.set(xscale="log", yscale="log", xlabel=r"step $\eta$", ylabel="median drift at $t = 4$", title="descent")
    right.set_xticks(descent.step.values, [f"{s:g}" for s in descent.step.values])
    right.minorticks_off()
    right.legend(fontsize=8.5)
    return drawing


invariant = Figure(
    id="invariant",
    draw=_draw_invariant,
    caption="Lemma 2.5 for four losses of A x. Left: under the flow the invariant drifts by no more than the "
    "integrator's tolerance (worst over seeds, ratios and scales). Right: under descent it drifts in proportion to "
    "the step (median over the same runs; filled WN, open rPGD).",
    claims=["flow-conserves-the-invariant", "descent-drifts-by-O(step)"],
)

# -- Figure 2 ----------------------------------------------------------------------------------------------------------

COURSES = {
    "gd": ("gradient flow", COLOURS["vermillion"], "--"),
    "together": ("equal rates, $c = 1$", COLOURS["blue"], "-"),
    "careful": ("slow size, $c = 0.05$", COLOURS["green"], "-."),
    "frozen": ("g frozen, then released", COLOURS["orange"], (0, (5, 1))),
}


STARTS = {"a": dict(scale=1.0, angle=1.0), "f": dict(scale=3.0, angle=0.5)}


def _draw_figure_2(ds):
    plt = _plt()
    drawing, panels = plt.subplots(1, 2, figsize=(9.6, 4.1))
    for panel, (name, start) in zip(panels, STARTS.items()):
        here = ds.x.sel(start)
        panel.axvline(2.0, color="0.6", lw=1, zorder=0)
        for course, (label, colour, line) in COURSES.items():
            first, second = (here.sel(course=course).isel(x_0=i) for i in (0, 1))
            panel.plot(first, second, ls=line, color=colour, label=label, lw=1.8)
            panel.plot(first[-1], second[-1], "o", color=colour, ms=6, mfc="white", mew=1.6, zorder=4)
        begin = here.isel(course=0, record=0).values
        panel.plot(*begin, "ko", ms=5, zorder=5)
        panel.annotate(name, begin, (-11, 3) if name == "a" else (7, -3), textcoords="offset points", fontweight="bold")
        panel.plot(2.0, 0.0, "k*", ms=10, zorder=5)
        panel.annotate("$x_*$", (2.0, 0.0), (7, -13), textcoords="offset points")
        sign = "<" if start["scale"] < 2 else ">"
        panel.set(
            xlabel="$x_1$", title=rf"$g_0 = {start['scale']:g} {sign} g_* = 2$", xlim=(0.3, 3.0), ylim=(-0.3, 2.4)
        )
        panel.set_aspect("equal")
        label = "interpolators $x_1 = 2$"
        panel.annotate(label, (2.0, -0.26), (-4, 0), textcoords="offset points", ha="right", color="0.4", fontsize=8.5)
    panels[0].set_ylabel("$x_2$")
    panels[0].legend(fontsize=8.5, loc="upper left")
    return drawing


figure_2 = Figure(
    id="figure-2",
    draw=_draw_figure_2,
    caption="Paths of x = g w/|w| in the plane, A = [1, 0], y = 2; black dots are starts, open circles ends. Left, "
    "from g0 < g*: gradient flow keeps x2; WN with equal rates ends nearer to x*; slowing g down, or freezing it until "
    "w has turned, ends at x* itself. Right, from g0 > g* with g forced to shrink: WN ends farther from x* than "
    "gradient flow, and freezing g is no help, because the frozen flow already stops at an interpolator that is not x*.",
    claims=["path-ends-by-the-exact-law", "frozen-then-released-ends-at-x*", "frozen-then-released-as-printed"],
)
