"""Connections that send too slowly are closed; those with a request in progress are not."""

import asyncio
import socket
import threading
import time

import pytest

pytest.importorskip("uvicorn")

import uvicorn

from nlpkit.serve import protocol
from nlpkit.serve.protocol import TimedProtocol

IDLE, WORK = 0.4, 1.0  # seconds
REQUEST = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def slow_app(scope, receive, send):
    """Answers after WORK seconds if the path is /slow, else at once."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(WORK)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(protocol, "IDLE_SECONDS", IDLE)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(
            uvicorn.Config(slow_app, http=TimedProtocol, ws="none", lifespan="off", log_config=None)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


def connected(port):
    return socket.create_connection(("127.0.0.1", port), 30)


def answer(connection):
    reply = b""
    while not reply.endswith(b"ok"):
        piece = connection.recv(1000)
        assert piece, reply
        reply += piece
    return reply


@pytest.mark.parametrize("sent", [b"", REQUEST[:10]])
def test_a_connection_without_a_request_is_closed(port, sent):
    with connected(port) as connection:
        connection.sendall(sent)
        assert connection.recv(100) == b""


def trickle(connection):
    """Sends the head of a request, a byte from time to time, until the connection is closed."""
    for byte in b"GET /" + b"a" * 100:
        connection.sendall(bytes([byte]))
        time.sleep(IDLE / 5)


def test_bytes_from_time_to_time_do_not_hold_a_connection(port):
    with connected(port) as connection, pytest.raises(ConnectionError):
        trickle(connection)


def test_a_request_in_progress_is_not_closed(port):
    with connected(port) as connection:
        for path in (b"slow", b"fast", b"slow"):
            connection.sendall(REQUEST % path)
            assert answer(connection).startswith(b"HTTP/1.1 200")
        assert connection.recv(100) == b""  # idle at last


def test_requests_that_come_together_are_all_answered(port):
    with connected(port) as connection:
        connection.sendall(REQUEST % b"slow" + REQUEST % b"slow")
        assert answer(connection).startswith(b"HTTP/1.1 200")
        assert answer(connection).startswith(b"HTTP/1.1 200")
