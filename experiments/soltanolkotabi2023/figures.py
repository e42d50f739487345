"""The figures of the Soltanolkotabi et al. 2023 studies."""

import numpy as np

from implicit_bias.evidence.figures import COLOURS, Figure
from implicit_bias.theory import sensing as theory

from .._sensing import figure_of_the_start
from . import claims

OPERATORS = {
    "population": ("$A^*A = I$", COLOURS["orange"], "s"),
    "gaussian": ("Gaussian sensing", COLOURS["blue"], "o"),
}


def _plt():
    import matplotlib.pyplot as plt

    return plt


def _draw_balance(data):
    plt = _plt()
    flow, descent = (data[name].to_dataset() for name in (claims.flow_conserves.on, claims.descent_conserves.on))
    drawing, (left, middle, right) = plt.subplots(1, 3, figsize=(12.4, 3.7))
    for model, label, colour, line in (
        ("factors", "flow, $VW^\\top$", "green", "-"), ("layers", "flow, three factors", "purple", ":"),
    ):  # fmt: skip
        if model not in flow.model:
            continue
        at = flow.sel(model=model)
        worst = at.imbalance_drift.max(["seed", "scale", "law"])
        clock = at.clock.isel(law=0)
        left.plot(clock, np.maximum(worst, 1e-17), line, color=COLOURS[colour], label=label)
    at = descent.isel(law=0).sel(operator="gaussian")
    for step, shade in zip((float(at.step[0]), float(at.step[-1])), ("blue", "sky")):
        drift = at.imbalance_drift.sel(step=step).isel(scale=-1).median("seed")
        clock = at.clock.sel(step=step) * step
        left.plot(clock, np.maximum(drift, 1e-17), "--", color=COLOURS[shade], label=rf"descent, $\mu = {step:.3g}$")
    left.set(yscale="log", ylim=(1e-17, 1), xlabel=r"time $t = \mu k$", ylabel=r"$|D(t) - D(0)|$")
    left.legend(fontsize=8.5, loc="center right")
    for operator, (label, colour, marker) in OPERATORS.items():
        if operator not in descent.operator:
            continue
        largest = descent.isel(law=0).sel(operator=operator).largest_imbalance
        for panel, over, fixed in ((middle, "scale", "step"), (right, "step", "scale")):
            at = largest.isel({fixed: 0}).transpose(over, "seed")
            value = float(at[fixed])
            name = rf"$\mu = {value:g}$" if fixed == "step" else rf"$\alpha = 10^{{{np.log10(value):.0f}}}$"
            panel.fill_between(at[over], at.min("seed"), at.max("seed"), color=colour, alpha=0.2, lw=0)
            panel.plot(at[over], at.median("seed"), marker, color=colour, label=f"{label}, {name}")
    alpha = descent.scale
    start = float(descent.sel(operator="population").largest_imbalance.isel(step=0, scale=0).median()) / alpha[0] ** 2
    middle.plot(alpha, start * alpha**2, "k-", lw=1, zorder=1, label="slope 2")
    mu = descent.step
    sensing = descent.sel(operator="gaussian").largest_imbalance.isel(scale=0).median(["seed", "law"])
    right.plot(mu, float((sensing / mu).median()) * mu, "k--", lw=1, zorder=1, label="slope 1")
    middle.set(xscale="log", yscale="log", xlabel=r"size of the start $\alpha$", ylabel=r"$\max_t |D(t)|$")
    right.set(xscale="log", yscale="log", xlabel=r"step $\mu$")
    right.set_xticks(mu.values, [f"{m:.3g}" for m in mu.values])
    right.minorticks_off()
    middle.fill_between([], [], color="0.5", alpha=0.3, lw=0, label="range over seeds")
    middle.legend(fontsize=8.5)
    right.legend(fontsize=8.5, loc="center")
    return drawing


balance = Figure(
    id="balance",
    draw=_draw_balance,
    caption="The imbalance D = V^T V - W^T W. Left: the flow keeps it to the integrator's tolerance (worst run), descent "
    "does not (median over seeds, the largest start). Middle and right: the largest imbalance of a run of descent, "
    "median and range over seeds. Under sensing it saturates at the order of the step, whatever the start; "
    "with A*A = I it follows the square of the start, whatever the step.",
    claims=["flow-conserves-the-imbalance", "imbalance-saturates", "imbalance-is-first-order",
            "population-imbalance-follows-the-start"],
)  # fmt: skip


error = figure_of_the_start(
    "error-against-alpha",
    claims.of_the_start,
    product=r"VW^\top",
    bound="3/5",
    remembered=theory.REMEMBERED_ASYMMETRIC,
)
