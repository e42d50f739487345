"""Figures of more panels than a study has room for."""

import implicit_bias as ib

VIEW = dict(log="y", ylim=(5e-3, 2))


def row_norms(decays, reached, turned, ends):
    """Of `decay`: row norms by the law of motion, and their equilibrium; `reached` and `turned` say of which runs the claims
    have one, of a row and of the angle of a step."""
    gd, sgd = (dict(on="gd+sgd", of={"method": method}) for method in ("gd", "sgd"))
    dashed = {decay: dict(colour="black", line="--") for decay in decays}

    def theory(value, **of):
        return ib.theory_of(value, x="clock", by="decay", label="theory", looks=dashed, line="--", **of)

    def norms(value, **of):
        return ib.curves_of(value, x="clock", by="decay", name=r"$\lambda = {:g}$", accepts=ends, **of)

    def over_theory(value, within, label, colour, marker):
        inside = lambda ds: value(ds).where(within(ds))  # noqa: E731
        looks = {None: dict(colour=colour, marker=marker)}
        return ib.curves_of(inside, x="decay", label=label, looks=looks, accepts=ends, join=False, **sgd)

    return ib.Figure(
        id="decay",
        panels=[
            [
                ib.panel(
                    theory(lambda ds: ds.size * (1 - ds.step * ds.decay) ** ds.clock, **gd), norms("least_row", **gd),
                    title="gradient descent", x="step", y="least row norm", **VIEW,
                ),
                ib.panel(
                    theory("flow_due", on="flow"), norms("least_row", on="flow"),
                    title="flow", x="time $t$", y="least row norm", **VIEW,
                ),
            ],
            [
                ib.panel(
                    theory(lambda ds: ds.fourth_power_due.where(reached(ds)) ** 0.25 + 0 * ds.clock, **sgd),
                    norms("typical_row", **sgd),
                    title="mini-batch SGD", x="step", y="(mean of $|W_i|^4)^{1/4}$", log="y", ylim=(0.1, 2),
                ),
                ib.panel(
                    over_theory(lambda ds: ds.turning / ds.turn_due, turned, r"$\log(1 + \tan^2)$ of a step", "blue", "o"),
                    over_theory(lambda ds: ds.fourth_powers[..., 0] / ds.fourth_power_due, reached, "$|W|^4$", "vermillion", "s"),
                    ib.level(1.0, on="gd+sgd", line="-"), *(ib.level(end, on="gd+sgd") for end in (0.95, 1.05)),
                    title="mini-batch SGD at equilibrium", x=r"decay $\lambda$", y="measured / theory", log="x",
                    ylim=(0.9, 1.1),
                ),
            ],
        ],
        height=2.9,
        caption="Row norms with decay lam, medians and ranges over {seed.count} seeds; step {step:g}, noise "
        "{noise:g} on the labels. Top: the least row shrinks as decay alone has it (dashed), under the flow to 0, "
        "under gradient descent to a floor that the gradients set. Bottom: the noise of batches holds rows at a "
        "fixed point (dashed, where decay has had time to bring them there); the turn of a step and |W|^4 are then "
        "what theory says, to the tolerance of the claims (dotted).",
        claims=["rows-stay-away-from-zero", "rows-vanish-under-the-flow", "angle-of-a-step", "fixed-point-of-a-row"],
    )  # fmt: skip
