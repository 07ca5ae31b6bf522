"""Inspection of a mill's own files: what each column holds, what is doubtful, and a plant file guessed from it."""
