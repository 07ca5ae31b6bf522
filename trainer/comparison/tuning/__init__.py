"""Tuning: the settings of one family, searched on the dev folds alone, trial by trial, resumable.

space.py says what is searched and where, study.py keeps the trials (Optuna), search.py runs them fold by fold.
"""
