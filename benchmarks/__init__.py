"""Benchmarks: how fast the programs are, beside what people would use otherwise; the source of every number in docs."""
