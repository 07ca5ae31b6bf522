"""Metrics of scores against breaks: rows, events, alarms, and how sure each figure is."""
