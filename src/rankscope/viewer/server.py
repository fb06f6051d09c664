"""The server of the view: one process, this machine alone, a token in its address."""

import secrets
import signal
import socket
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from rankscope.core.errors import BadInput
from rankscope.core.result import Result
from rankscope.viewer.found import found
from rankscope.viewer.guarded import LOOPBACK


class ViewSettings(NamedTuple):
    """What `rankscope view` is asked for."""

    folder: Path
    port: int = 0
    """0 takes a free one."""
    browser: bool = True
    """Whether the address is opened in a browser."""


def serve(settings: ViewSettings, *, tell: Callable[[str], None]) -> Result:
    """Show the results until the process is interrupted.

    Raises BadInput where the folder has no results, the port is taken, or the extra is not installed.
    """
    with _interrupts() as heard:
        _serve(settings, tell, heard)
    return Result(lines=("The view has ended.",))


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Ctrl-C ends the server in order, from its first line to its last: a list that each one in the block joins.

    As an exception it would come out of whatever line runs: of a library that is imported, of a loop that is half made.
    """
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(settings: ViewSettings, tell: Callable[[str], None], heard: Sequence[int]) -> None:
    try:
        import uvicorn

        from rankscope.viewer.app import application
    except ImportError as error:
        raise BadInput(
            f"The view needs {error.name}. Install it: pip install 'rankscope[view]'."
        ) from error
    found(settings.folder)
    if heard:
        return
    token = secrets.token_urlsafe(24)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, settings.port))
        except OSError as error:
            raise BadInput(
                f"Port {settings.port} cannot be used ({error.strerror}). Name another with --port, or leave it out."
            ) from error
        listening.listen()
        port = listening.getsockname()[1]
        where = f"http://{LOOPBACK}:{port}/{token}/"
        tell(f"{settings.folder} is shown at {where} until Ctrl-C.")
        if settings.browser:
            webbrowser.open(where)
        # while the list is looked at: a ranker's libraries take seconds
        Thread(target=import_module, args=["rankscope.viewer.asked"], daemon=True).start()
        app = application(settings.folder, token=token, port=port)
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        signal.signal(signal.SIGINT, server.handle_exit)
        server.should_exit = server.should_exit or bool(heard)  # before there was a server
        server.run(sockets=[listening])
