"""Python door: a model scores and explains tables and arrays (docs/python.md)."""
