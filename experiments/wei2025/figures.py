"""Exponential decay with weight normalisation, 1/t without it where there are more columns than the rank needs."""

import implicit_bias as ib

ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED)


def _course(label, on, width, colour, line):
    look = dict(colour=colour, line=line)
    of = {"width": width} | ({} if on == "wn" else {"aligned": "least", "until": "first"})
    return ib.curves_of("loss", x="clock", on=on, of=of, label=label, looks={None: look}, accepts=ENDED)


SHOWN = dict(on="plain", of={"aligned": "least", "width": "last"})

RATES = ib.Figure(
    id="rates",
    panels=[
        ib.panel(
            _course("$X$, $r > k$", "wn", "last", "blue", "-"),
            _course("$U$, $r > k$", "plain", "last", "vermillion", "--"),
            _course("$U$, $r = k$", "plain", "first", "green", "-."),
            x="time $t$", y="loss $f$", log="y", ylim=(1e-16, None),
        ),
        ib.panel(
            ib.curves_of(
                "scaled", x="until", label="$U$, $r > k$", looks={None: dict(colour="vermillion", marker="s")}, join=False,
                accepts=ENDED, **SHOWN,
            ),
            ib.level("scaled_due", r"$\sqrt{r - k}$", **SHOWN),
            x="time $t$", y=r"$2 t |U U^\top - M|_F$", log="x",
        ),
    ],
    caption="Flows to a matrix of rank {rank} with weight normalisation (X) and without (U), medians and ranges over "
    "{seed.count} seeds. With it the decay is exponential though there are more columns than the rank needs; without it it is "
    "then that of 1/t^2, with the constant at the right, and exponential where the width is the rank.",
    claims=["linear-at-any-width", "plain-is-linear-at-the-right-width", "plain-is-slow-with-its-constant"],
)  # fmt: skip
