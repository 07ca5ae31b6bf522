"""Output of long commands: progress while they run, files when they are done."""
