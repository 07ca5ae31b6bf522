"""A simulated mill: the plant, what happens in it, what its sensors show. numpy only."""
