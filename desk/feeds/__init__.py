"""Feeds: where messages come from, a broker's topics or NDJSON lines, each on a thread of its own."""

from desk.feeds.status import Feed, Status, Take

__all__ = ["Feed", "Status", "Take"]
