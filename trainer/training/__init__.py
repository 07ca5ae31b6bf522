"""Training: from rows and a preset to a model with a threshold."""
