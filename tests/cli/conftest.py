"""The fake server of the load test."""

from __future__ import annotations

from tests.lab.loadtest.conftest import fake_server as fake_server
