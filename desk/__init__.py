"""Desk: the operators' pages, with the state of every machine, its alarms, and what the shift answers to them."""
