"""Commands that are imported when they are called, so that none waits for the others."""

from collections.abc import Callable
from functools import partial
from typing import Any

import typer
from typer.main import get_command, get_group
from typing_extensions import override

from nlpkit.cli.localization.help import App, LocalizedCommand, LocalizedGroup


class LazyCommand(LocalizedCommand):
    """The name and the summary of a command that is not yet imported.

    Args:
        load: returns the function or the typer app of the command.
    """

    def __init__(self, *args: Any, load: Callable[[], Any], **settings: Any):
        super().__init__(*args, **settings)
        self._load = load

    def loaded(self) -> Any:
        """Return the command itself."""
        found = self._load()
        if isinstance(found, typer.Typer):
            command: Any = get_group(found)
        else:
            app = App(add_completion=False)
            app.command()(found)
            command = get_command(app)
        command.name = self.name
        return command


class LazyGroup(LocalizedGroup):
    """A group of commands that may be lazy."""

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, loaded(command), rest


class LazyApp(App):
    """A typer app whose commands may be lazy."""

    def __init__(self, *, cls: type[LazyGroup] = LazyGroup, **settings: Any):
        super().__init__(cls=cls, **settings)

    def add(self, name: str, summary: str, load: Callable[[], Any]) -> None:
        """Add a command by its summary and the function that returns it: a function for typer, or a typer app."""
        self.command(name, cls=partial(LazyCommand, load=load), help=summary)(_never_called)


def loaded(command: Any) -> Any:
    """Return a command, imported if it is lazy."""
    return command.loaded() if isinstance(command, LazyCommand) else command


def _never_called() -> None: ...
