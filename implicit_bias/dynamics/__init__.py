"""Laws of motion, each with its own clock: descent in steps, flow in time."""
