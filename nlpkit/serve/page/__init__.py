"""The web page of a service: static files without a build step, and the headers they are sent with."""

from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath

PAGE_HEADERS: dict[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


def page_file(name: str) -> tuple[bytes, str] | None:
    """Return the content and the media type of a file of the page.

    Args:
        name: of the file, without a folder, such as `index.html`.

    Returns:
        None if the page has no such file. Names are looked up in a fixed list, so no other file can be read.
    """
    return _page_files().get(name)


@cache
def _page_files() -> dict[str, tuple[bytes, str]]:
    """Return the files of the page by name."""
    return {
        entry.name: (entry.read_bytes(), media_type)
        for entry in files(__name__).iterdir()
        if entry.is_file() and (media_type := _MEDIA_TYPES.get(PurePosixPath(entry.name).suffix))
    }
