"""Web: the application, its pages kept live, and the forms."""

from desk.web.application import Web

__all__ = ["Web"]
