"""Plots: SVG made on the server, without styles or scripts of its own, so that the strictest policy lets it through."""
