"""Settings of the unit tests: hypothesis has no time limit, because machines may be slow, and stores no examples."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None, database=None)
settings.load_profile("house")
