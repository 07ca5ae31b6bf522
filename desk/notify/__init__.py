"""Notification: alerts handed to Alertmanager, which knows who is to be told and how."""

from desk.notify.notifier import Notifier

__all__ = ["Notifier"]
