"""The engine: rows in, scores, levels and alerts out; pure, so that it knows no file, clock or Kafka."""
