"""What all sides agree on; numpy and msgspec at import time, nothing heavier."""
