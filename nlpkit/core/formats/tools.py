"""Formats of annotation tools, with entities and relations, and for some tools events."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from nlpkit.core.formats import brat, doccano, labelstudio
from nlpkit.core.formats.annotation import Annotation, Format, Source, Tally
from nlpkit.core.formats.gold import parsed

Example = TypeVar("Example")

TOOLS: dict[str, Format[Annotation]] = {
    "doccano": Format(doccano.read, doccano.OPTIONS, doccano.write, doccano.HOLDS),
    "labelstudio": Format(
        labelstudio.read, labelstudio.OPTIONS, labelstudio.write, labelstudio.HOLDS, labelstudio.FRAME
    ),
    "brat": Format(brat.read, holds=brat.HOLDS, write_folder=brat.write_folder),
}


def tools(layer: str, from_annotation: Callable[[Annotation, Tally], Example]) -> dict[str, Format[Example]]:
    """Return the formats of annotation tools that support a layer, as formats of its task.

    Args:
        layer: `entities`, `relations` or `events`.
        from_annotation: converts an annotation to an example, and counts what the task cannot represent.
    """

    def reader(format: Format[Annotation]) -> Callable[[Source], Iterator[Example]]:
        return lambda source: parsed(
            format.read(source), lambda annotation: from_annotation(annotation, source.tally), source.on_error
        )

    return {
        name: Format(reader(format), format.options, format.write, format.holds, format.frame, format.write_folder)
        for name, format in TOOLS.items()
        if layer in format.holds
    }
