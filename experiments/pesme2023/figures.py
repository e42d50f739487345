"""Figures of `staircase` and `tuned`."""

import implicit_bias as ib

BLACK = dict(looks={None: dict(colour="black")}, line="-")


def _look(colour, marker):
    return {None: dict(colour=colour, marker=marker)}


def _path_of(ds):
    return ds.limit_x.isel(ell=-1) if "ell" in ds.limit_x.dims else ds.limit_x


def _norm(name):
    """|x|_1, of the seed that rests most often."""
    def norm(ds):
        jumps = (abs(_path_of(ds).diff("record")).max("limit_x_0") > 0).sum("record")
        return abs(ds[name]).sum(f"{name}_0").isel(seed=int(jumps.argmax("seed")))
    return norm


def _entry(name):
    """x_i, of the seed and entry of the largest that leaves; of the first where none does."""
    def entry(ds):
        path = _path_of(ds)
        gone = abs(path).max("record").where(ib.curves.last(path) == 0, 0.0)
        places = gone.argmax(["seed", "limit_x_0"]).values()
        return ds[name].isel({axis: int(at) for axis, at in zip(("seed", f"{name}_0"), places)})
    return entry


def _path(of, y):
    return ib.panel(
        ib.curves_of(of("x"), x="tau", by="ell", name="$l = {:g}$", accepts=None),
        ib.theory_of(of("limit_x"), x="tau", label=r"$l \to \infty$", of={"ell": "largest"}, **BLACK),
        x=r"$\tau = 4t/l$", y=y, legend="best" if y == "$|x|_1$" else None,
    )


def stairs(ended):
    """Paths of one problem at several l over their limit, and how fast they come to it."""
    far = dict(x="ell", accepts=ended, spread="middle 80 %", join=False)
    return ib.Figure(
        id="staircase",
        panels=[
            _path(_norm, "$|x|_1$"),
            _path(_entry, "the entry that leaves"),
            ib.panel(
                ib.curves_of("off_s", label=r"$s$, at all times", looks=_look("blue", "o"), **far),
                ib.curves_of("late", label="jump times", looks=_look("vermillion", "s"), **far),
                ib.guide(-1.0, "slope {:g}", series=0, line="-"), ib.guide(-1.0, "", series=1, line="-"),
                x=r"$l = \log(1/2\alpha^2)$", y="greatest error of the limit", log="xy",
            ),
        ],
        caption="Saddle to saddle. Left and middle: problems of {rows} x {columns}, paths from starts alpha^2 = exp(-l)/2 over "
        "the staircase of the homotopy (black), of the seed with the most saddles in |x|_1, and of the seed on which the "
        "largest entry leaves in that entry. Right: greatest error of the limit over all times and entries, of s = log(a/b)/l, "
        "and over all entries, of the time tau at which they arrive, by l; {seed.count} seeds, those too whose entries l "
        "does not yet tell apart.",
        claims=["the-flow-rests-at-the-saddles", "s-follows-its-limit", "jumps-are-in-time"],
    )  # fmt: skip


def tuning(ended):
    """How far the cost, the end and the l1 norm are from what they tend to, by l."""
    far = dict(x="ell", accepts=ended, middle="max", join=False)
    return ib.Figure(
        id="tuning",
        panels=[
            ib.panel(
                ib.curves_of(
                    "above", theory="bound", theory_label="its bound, greatest", label="cost above the least, greatest", **far
                ),
                x=r"$l = \log(1/2\alpha^2)$", y="cost above the least", log="xy", ylim=(1e-9, 1),
            ),
            ib.panel(
                ib.curves_of("off", label="from the last saddle, greatest", looks=_look("blue", "o"), **far),
                ib.curves_of("above_l1", label="from the least $l_1$ norm, greatest", looks=_look("vermillion", "s"), **far),
                x=r"$l = \log(1/2\alpha^2)$", y="distance of the end", log="xy", ylim=(1e-9, 3),
            ),
        ],
        caption="Fine-tuning from {kept} entries that are kept, problems of {rows} x {columns}, {seed.count} seeds. Left: "
        "the cost |x|_1 - sum sign(x_0) x over the least of the data that the run has reached, and its bound at each l. Right: "
        "the end comes to the last saddle of the homotopy, and its l1 norm not to the least (relative).",
        claims=["tuning-cost-within-its-bound", "tuning-ends-at-the-last-saddle", "tuning-forgets-its-start"],
    )  # fmt: skip
