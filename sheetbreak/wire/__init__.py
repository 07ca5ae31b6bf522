"""The wire: rows, messages and states as the bytes that go over Kafka, pipes and disk."""
