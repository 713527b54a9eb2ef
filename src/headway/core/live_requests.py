"""The requests that a scheduler has, and the errors for those that are not as an event needs."""

from __future__ import annotations

from headway.core.request import Request, State


class LiveRequests(dict[str, Request]):
    """All requests that wait or run, by id. Each method raises ValueError if it is not so."""

    def known(self, request_id: str) -> Request:
        """The request of that id."""
        request = self.get(request_id)
        if request is None:
            raise ValueError(f"request {request_id!r} is not known; it may have ended")
        return request

    def waiting(self, request_id: str) -> Request:
        """The request of that id, which waits."""
        request = self.known(request_id)
        if request.state is State.RUNNING:
            raise ValueError(f"request {request_id!r} runs already; only a waiting one can do that")
        return request

    def running(self, request_id: str) -> Request:
        """The request of that id, which runs."""
        request = self.get(request_id)
        if request is None or request.state is not State.RUNNING:
            state = "not known" if request is None else request.state.value
            raise ValueError(f"request {request_id!r} is {state}; only a running one can do that")
        return request
