"""Group of monitors: which partitions are ours, where each goes on, and the states kept beside them."""
