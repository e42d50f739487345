"""Where the referee looks: numbers of a range are moved along, and whole ones are chosen from."""

import numpy as np

from implicit_bias.referee.recast import Form
from implicit_bias.referee.region import Region


def test_layers_are_one_two_or_three_and_never_one_and_a_half():
    form = Form(axes=("depth", "scale"), rows=1, columns=2, arrays=False)
    ranges = {"depth": (1.0, 3.0), "scale": (0.1, 10.0)}
    region = Region(form, ranges, None, choices={"depth": [1.0, 2.0, 3.0]})
    points = region.draw(np.random.default_rng(0), 200)
    assert {*points[:, 0]} == {1.0, 2.0, 3.0} and len({*points[:, 1]}) > 100
    depth, scale, _ = region.scales(points[0])
    assert depth == 0 < scale
