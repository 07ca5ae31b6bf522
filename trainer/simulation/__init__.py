"""Simulation of a mill: the plant, what happens in it, what its sensors show. numpy only."""
