"""What the studies of weight-normalised diagonal nets share. Potentials and bounds are in `ib.theory.diagonal`.

Of the paper the abstract alone was at hand: a source that says "derived" names the statement that it makes precise.

What the flow conserves it conserves at every moment, so each statement about a limit holds of x at any time, with A x
in the place of y: x is where the flow would have ended had the data been A x. It is asked so, of the end of every run.
One that has fitted has A x = y, to its stop rule; one that was capped is tested on the data that it has reached: none
is lost.
"""

import dataclasses

import numpy as np

import implicit_bias as ib

SOURCE = "Chou et al. 2023"
ENDED = (ib.Status.CONVERGED, ib.Status.CAPPED, ib.Status.STALLED)
BRANCHES = {"one": "", "two": "-signed"}


def truth(snapshot):
    """The sparse vector that the data were made from. A fact."""
    return ib.truth(snapshot.problem)


def stacked(operator, branches):
    """A for one branch, [A, -A] for two: as many columns as the layer has entries."""
    return np.concatenate([operator, -operator], -1) if branches == "two" else operator


def on_branches(claim, grid="{}"):
    """A claim on the nets of one branch and of two."""
    return [dataclasses.replace(claim, id=claim.id + end, on=grid.format(name)) for name, end in BRANCHES.items()]
