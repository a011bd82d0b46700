"""What the unit tests share: hypothesis sets no time limit, for machines are slow at times, and keeps no examples."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None, database=None)
settings.load_profile("house")
