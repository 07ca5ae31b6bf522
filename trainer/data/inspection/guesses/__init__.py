"""Guesses of what columns mean, and the plant file that is made of them."""
