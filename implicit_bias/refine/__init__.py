"""Where does a study change its mind? The boundary between two sides of a map, found without the map's dense grid.

    axes        an axis as [0, 1] in its own scale, and the dyadic places on it
    sides       what is asked of each point, and on which side it is
    tree        cells that are split where their borders disagree, and edges that are halved where they are crossed
    points      any points of a study's axes, through its store: nothing is computed twice
    boundary    crossings with their intervals, corners and cells, as a Dataset
    search      all of it: split, halve, look at random places, go on where an island is found
    drawing     the boundary on its map
    command     `refine STUDY WHAT over=x,y to=1%`
"""
