"""Data of a training: histories, labels, splits, features and windows."""
