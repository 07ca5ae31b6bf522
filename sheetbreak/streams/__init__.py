"""Streams: sources of rows and sinks of what became of them, behind one protocol."""
