"""Administration of topics: created, checked, mended and grown while no monitor runs."""
