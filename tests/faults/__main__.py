"""`python -m tests.faults NAME COUNT SEED FOLDER [SABOTAGE]`: one attack; the outcome is the last line, as JSON."""

import dataclasses
import json
import os
import sys
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the bits of an SVD depend on the number of threads; a fork may have one only

from .table import FAULTS  # noqa: E402

name, count, seed, folder, *sabotage = sys.argv[1:]
outcome = FAULTS[name].attack(int(count), int(seed), Path(folder), *sabotage)
print(json.dumps(dataclasses.asdict(outcome)))
