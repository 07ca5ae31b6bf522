"""Benchmarks of detection: alert policies, imputation, named causes."""
