"""Metrics of the monitor, by the names of the contract, as Prometheus asks for them."""
