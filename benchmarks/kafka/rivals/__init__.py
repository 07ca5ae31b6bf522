"""What the monitor is held against: poll and decode alone, the loop people write today, and other engines.

Those have an environment of their own (requirements.txt): work.py and its neighbours run in it, plain.py in ours.
"""
