"""`python -m implicit_bias` is `implicit-bias`."""

import sys

from .cli import main

sys.exit(main())
