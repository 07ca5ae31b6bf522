"""Files and pipes as streams, and the directory that keeps machines' states beside them."""
