"""Bulk: many records of Kafka at once, where kafka-python takes them one by one."""
