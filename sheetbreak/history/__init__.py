"""Histories: files of past rows, read as strictly as rows that arrive live."""
