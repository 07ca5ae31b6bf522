"""Topics: the names that the contract gives them, once."""

ROWS, SCORES, ALERTS, DEAD_LETTERS, STATE = "sensor-rows", "scores", "alerts", "dead-letters", "monitor-state"
TOPICS = (ROWS, SCORES, ALERTS, DEAD_LETTERS, STATE)
"""The five topics, by their names before any prefix."""
ACTIONS = "operator-actions"
"""What operators said and did: an audit log, kept for a year. The monitor does not write it."""
OUTPUTS = frozenset({SCORES, ALERTS, DEAD_LETTERS})
