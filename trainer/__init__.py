"""Trainer: learns what the machine looks like while the sheet holds; the only package that imports tensorflow."""
