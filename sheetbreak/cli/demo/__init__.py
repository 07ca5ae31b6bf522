"""Demo: a simulated mill, a training, a live replay and a count of what was warned, in one command."""
