"""Listening: the address is taken before the models are loaded, and connections are accepted after that."""

import errno
import socket
from collections.abc import Callable, Mapping

from nlpkit.errors import NlpkitError, UsageError
from nlpkit.serve.limits import Limits
from nlpkit.serve.logs import set_up_logging
from nlpkit.serve.services import Service

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ListenError(NlpkitError):
    """The service cannot listen on the address."""


def run(
    load: Callable[[], Mapping[str, Service]],
    limits: Limits,
    *,
    host: str,
    port: int,
    api_key: str | None,
    translate: Callable[[str], str],
    announce: Callable[[str], None],
    log_requests: bool,
) -> None:
    """Serve until SIGTERM or Ctrl-C; what was accepted is answered first, unless the signal comes again.

    Args:
        load: loads the models.
        limits: of requests.
        host: address to listen on.
        port: port to listen on; 0 is any free one.
        api_key: that requests must have; None for none.
        translate: as for `app.Application`.
        announce: shows a line to the user.
        log_requests: whether to log a line for each request.

    Raises:
        UsageError: the extra is not installed.
        ListenError: the address is in use, or not of this machine.
        NlpkitError: a model cannot be loaded.
    """
    try:
        import uvicorn

        from nlpkit.serve.app import Application
        from nlpkit.serve.protocol import IDLE_SECONDS, TimedProtocol
    except ImportError:
        raise UsageError("the service is an extra; install it with: pip install 'nlpkit[serve]'") from None
    listener = _bound(host, port)
    with listener:
        services = load()
        _listen(listener, host, port)
        application = Application(services, limits, api_key, translate, loopback=host in _LOOPBACK)
        set_up_logging(log_requests)
        config = uvicorn.Config(
            application.api, http=TimedProtocol, ws="none", timeout_keep_alive=int(IDLE_SECONDS), workers=1,
            log_config=None, access_log=False, server_header=False, h11_max_incomplete_event_size=1 << 16,
        )  # fmt: skip
        address = listener.getsockname()
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        announce(f"serving {', '.join(services)} at http://{shown}:{address[1]}")
        if host not in _LOOPBACK and api_key is None:
            announce("hint: everyone who reaches this address can use the service; set a key with --api-key")
        uvicorn.Server(config).run(sockets=[listener])


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that has the address, and does not listen yet."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise _not_available(host, port, error) from None
    return listener


def _listen(listener: socket.socket, host: str, port: int) -> None:
    try:
        listener.listen(2048)
    except OSError as error:  # another program has begun to listen while the models were loaded
        raise _not_available(host, port, error) from None


def _not_available(host: str, port: int, error: OSError) -> ListenError:
    cure = "stop what listens there, or choose another --port"
    if error.errno != errno.EADDRINUSE:
        cure = "choose another --host or --port"
    return ListenError(f"{host}:{port}: cannot listen on this address ({error.strerror or error}); {cure}")
