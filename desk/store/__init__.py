"""Store: what the pages need, in SQLite; remade from the topics when it is lost."""

from desk.store.ring import Store

__all__ = ["Store"]
