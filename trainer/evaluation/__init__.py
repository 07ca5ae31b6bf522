"""Evaluation of a model on held-out rows: folds, baselines, backtests, tables and files."""
