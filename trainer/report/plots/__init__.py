"""Plots of the report, one file a subject."""
