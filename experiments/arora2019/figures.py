"""Figures of `times` and `infinity`."""

import implicit_bias as ib

BLACK = {None: dict(colour="black")}
LOOKS = (("blue", "o"), ("vermillion", "s"), ("green", "^"))


def _mode(r, ended):
    """A mode as it is recorded, and by its closed time."""
    at = dict(x="clock", on="balanced", of={"start": 1e-3, "depth": 3, "seed": "first"})
    colour, marker = LOOKS[r]
    look = {None: dict(colour=colour, marker=marker)}
    return (
        ib.theory_of(lambda ds: ds.closed.isel(closed_0=r), label="" if r else "closed form", looks=BLACK, **at),
        ib.runs_of(lambda ds: ds.modes.isel(modes_0=r), label=f"mode {r + 1}", looks=look, join=False, accepts=ended, **at),
    )  # fmt: skip


def learnt(ended):
    """Modes against their closed form, and how far the times are from those of the limit."""
    return ib.Figure(
        id="learnt",
        panels=[
            ib.panel(*(layer for r in range(3) for layer in _mode(r, ended)), x="time $t$", y=r"$s_r = u_r^\top Z v_r$"),
            ib.panel(
                ib.curves_of(
                    "off_limit", x="start", by="depth", name="$N = {}$", theory="due_limit", theory_label="closed form",
                    on="balanced", accepts=ended,
                ),
                x="first size of each mode, $s_0$", y=r"$|T / T_\infty - 1|$, slowest mode", log="xy",
            ),
        ],
        caption="Balanced deep linear nets, started with the singular vectors of a target of condition {condition:g}. Left: "
        "the modes of a net of three layers from s0 = 1e-3, measured and by the closed time. Right: the time at which the "
        "slowest mode has half of its target over what it tends to as s0 falls, less 1: it vanishes with s0, and for two layers "
        "like 1/log(1/s0).",
        claims=["hitting-times-are-closed", "half-times-are-closed", "one-after-another"],
    )  # fmt: skip


def _corner(depth):
    """|W_11| of every run against the bound."""
    at = dict(x="error", of={"depth": depth, "sign": 1.0})
    looks = {1.0: ("balanced", "blue", "o", "-"), 0.0: ("not balanced", "vermillion", "s", "--")}
    bound = {**at, "of": {**at["of"], "balanced": 1.0, "seed": "first"}}
    return ib.panel(
        ib.runs_of("corner", by="balanced", looks=looks, accepts=None, **at),
        ib.theory_of("least", label="$(1 - e)^2 / e$", looks=BLACK, line=":", **bound),
        x="$e$, the error of what is seen", y="$|W_{11}|$", title=f"$N = {depth}$", log="xy",
        xlim=(1.0, 1e-3), ylim=(1e-2, 1e2),
    )  # fmt: skip


def diverging():
    """Completion of a matrix whose missing entry diverges, with balance and without."""
    return ib.Figure(
        id="corner",
        panels=[_corner(2), _corner(3)],
        caption="The missing entry of a 2 x 2 matrix against the error of the three that are seen, {seed.count} starts with "
        "det W > 0 of either kind; time runs to the right. From a balanced start it stays above the bound (dotted), and "
        "diverges; from one that is not, the determinant changes its sign and the entry stays where it is. Of two layers a "
        "run is shown as far as the sign of its determinant is told from rounding.",
        claims=["corner-goes-to-infinity", "corner-goes-to-infinity-without-balance", "determinant-keeps-its-sign"],
    )
