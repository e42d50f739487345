"""What the papers prove, as functions of a run's own numbers: closed forms, potentials, minimisers, invariants.

Each file opens with its theorem, the hypotheses and the equation number, and says where the print and the exact
statement differ. The functions are array-agnostic: NumPy arrays when evidence is judged, `jnp` arrays inside a run.
"""
