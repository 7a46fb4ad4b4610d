"""Settings of every test: how many random examples, and that CI repeats them exactly."""

from __future__ import annotations

import importlib.util
import os

from hypothesis import HealthCheck, settings

_SHARED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("default", max_examples=40, database=None, **_SHARED)
settings.register_profile("ci", max_examples=40, derandomize=True, **_SHARED)
settings.register_profile("thorough", max_examples=1000, database=None, **_SHARED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))

# Only `make browser` installs what these need, and there they must run.
collect_ignore = [] if importlib.util.find_spec("playwright") else ["browser"]
