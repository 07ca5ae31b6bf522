"""Campaign on a real broker: faults drawn from a seed, and a checker of what came out."""
