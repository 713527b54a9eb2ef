"""For every test: generated ones repeat themselves in CI, and are new each time elsewhere.

A deep run (`make test-deep`) tries many times more, from a seed that it prints and keeps.
"""

import os

from hypothesis import settings
from tests.deep import DEEP

settings.register_profile("ci", derandomize=True, print_blob=True)
settings.register_profile("deep", print_blob=True, max_examples=5000, deadline=None)
if DEEP:
    settings.load_profile("deep")
elif os.environ.get("CI"):
    settings.load_profile("ci")
