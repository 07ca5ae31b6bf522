"""Comparison: scorers side by side, task by task (one scorer, seed and fold), in parallel and resumable.

scorers.py names what can be compared, tasks.py runs one task, ledger.py keeps what is finished, pool.py spreads tasks
over processes, result.py judges them together, text.py shows that. `compare` and `tune` are built on it.
"""
