"""For every test: generated ones repeat themselves in CI, and are new each time elsewhere.

A deep run (`make test-deep`) tries many times more, from a seed that it prints and keeps.
"""

import os

from hypothesis import settings
from tests.deep import DEEP

# No deadlines: they are wall-clock time, so a busy machine would break them.
settings.register_profile("ordinary", deadline=None)
settings.register_profile("ci", derandomize=True, print_blob=True, deadline=None)
settings.register_profile("deep", print_blob=True, max_examples=5000, deadline=None)
if DEEP:
    settings.load_profile("deep")
else:
    settings.load_profile("ci" if os.environ.get("CI") else "ordinary")

try:
    from anthropic import _base_client as _anthropic
    from openai import _base_client as _openai
except ModuleNotFoundError:
    pass
else:
    # A client that a test leaves open closes itself when it is collected, in some later test, whose
    # log then says that the loop of the client is gone.
    for _clients in (_openai, _anthropic):
        if "__del__" in vars(_clients.AsyncHttpxClientWrapper):
            del _clients.AsyncHttpxClientWrapper.__del__
