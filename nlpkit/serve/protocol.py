"""HTTP connections, as uvicorn handles them, with a limit of time for the head of a request."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

IDLE_SECONDS = 30.0


class TimedProtocol(H11Protocol):
    """Closes a connection that has no request in progress for too long.

    The time runs from the opening of the connection, or from the last response, to the end of the head of a request. So
    a client that sends a byte from time to time does not hold a connection; uvicorn's own timer starts again with each
    byte, and does not run before the first request.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time."""
        super().connection_made(transport)
        self._start_timer()

    def on_response_complete(self) -> None:
        """Start the time again."""
        super().on_response_complete()
        if not self._in_progress():  # the next request may have come with the last one
            self._start_timer()

    def handle_events(self) -> None:
        """Stop the time when a request has begun."""
        super().handle_events()
        if self._in_progress():
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time."""
        self._stop_timer()
        super().connection_lost(exc)

    def _in_progress(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(IDLE_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
