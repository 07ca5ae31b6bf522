"""Commands of the trainer, one file each, and what only commands share."""
