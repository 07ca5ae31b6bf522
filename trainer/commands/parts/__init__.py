"""Parts of commands: options and steps that commands share, or that are too long for one file."""
