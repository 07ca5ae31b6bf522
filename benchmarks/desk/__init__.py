"""Benchmarks of the desk: how soon an open page shows a row, and what memory that takes."""
