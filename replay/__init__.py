"""Plays history as a live stream."""
