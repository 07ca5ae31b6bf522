"""Kafka as a stream: the only folder that imports kafka."""
