"""Library of the trainer, the monitor and the replay; loads numpy and msgspec at import time, nothing heavier."""
