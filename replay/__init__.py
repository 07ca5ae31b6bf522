"""Replay: plays a history as a live stream."""
