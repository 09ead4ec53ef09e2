"""Read triples of RDF with pyoxigraph: N-Triples and N-Quads line by line, Turtle and TriG as a whole."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from nlpkit.core.io.progress import Advance
from nlpkit.core.io.records import ErrorPolicy, Line, open_input, read_lines
from nlpkit.errors import DataError

LINE_FORMATS = ("nt", "nq")
_POSITION = re.compile(r"^Parser error at line \d+ ")  # always line 1, because lines are parsed one by one


def read_rdf(
    path: str, extension: str, encoding: str, on_error: ErrorPolicy, advance: Advance
) -> Iterator[tuple[Line, list[str]]]:
    """Yield [subject, predicate, object] of each statement in plain text, with its line.

    Args:
        path: path of a file, or `-` for stdin.
        extension: file name extension of the format, such as `nt`; unknown ones are read as Turtle.
        encoding: encoding of N-Triples and N-Quads; the other formats are UTF-8.
        on_error: error policy for invalid lines of N-Triples and N-Quads.
        advance: called after each statement.

    Raises:
        DataError: pyoxigraph is not installed, or Turtle or TriG is invalid; reading stops at the error.
    """
    try:
        import pyoxigraph
    except ImportError:
        raise DataError("is RDF; install its reader with: pip install 'nlpkit[rdf]'", path) from None
    form = pyoxigraph.RdfFormat.from_extension(extension) or pyoxigraph.RdfFormat.TURTLE
    read: Iterator[tuple[Line, Any]]
    if extension in LINE_FORMATS:
        read = _by_line(pyoxigraph.parse, form, read_lines([path], encoding, on_error), on_error, advance)
    else:
        read = _as_a_whole(pyoxigraph.parse, form, path, advance)
    for line, quad in read:
        yield line, [_term(term) for term in (quad.subject, quad.predicate, quad.object)]


def _by_line(
    parse: Callable[..., Any], form: Any, lines: Iterable[Line], on_error: ErrorPolicy, advance: Advance
) -> Iterator[tuple[Line, Any]]:
    for line in lines:
        advance(1, line.size)
        try:
            quads = list(parse(line.text, format=form, without_named_graphs=False))
        except (SyntaxError, ValueError) as error:
            on_error(line.error(f"not valid {form.name} ({_POSITION.sub('', _message(error))})"))
            continue
        for quad in quads:
            yield line, quad


def _as_a_whole(parse: Callable[..., Any], form: Any, path: str, advance: Advance) -> Iterator[tuple[Line, Any]]:
    with open_input(path) as stream:
        quads = parse(stream, format=form, base_iri="file:///", without_named_graphs=False)
        while True:
            try:
                quad = next(quads, None)
            except (SyntaxError, ValueError, OSError, EOFError) as error:
                number = getattr(error, "lineno", None)
                raise DataError(f"not valid {form.name} ({_message(error)})", path, number) from None
            if quad is None:
                return
            advance(1, 0)
            yield Line(str(quad), path, 0), quad


def _message(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, SyntaxError) and error.args else str(error)


def _term(term: Any) -> str:
    """Return the last part of an IRI, percent-decoded, or the value of a literal."""
    value = str(getattr(term, "value", term))
    if type(term).__name__ != "NamedNode":
        return value
    return unquote(value.rstrip("/#").replace("#", "/").rpartition("/")[2])
