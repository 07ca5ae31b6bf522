"""Access: who may look and act, and proof that a form is ours."""

from desk.access.gate import Gate, Session
from desk.access.rules import Rules, rules_from

__all__ = ["Gate", "Rules", "Session", "rules_from"]
