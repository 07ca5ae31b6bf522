"""Benchmarks of the monitor on Kafka; `python -m benchmarks.kafka` runs them."""
