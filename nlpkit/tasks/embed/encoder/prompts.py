"""Texts put before every input of a model that was trained with them."""

from collections.abc import Mapping
from typing import Literal

Role = Literal["query", "passage"]
ROLE_PROMPTS: dict[Role, tuple[str, ...]] = {"query": ("query",), "passage": ("passage", "document")}


def prompt_text(
    prompts: Mapping[str, str], name_or_text: str | None, role: Role | None = None, default: str | None = None
) -> str:
    """Return the text of a prompt that is given by its name or as text.

    None is the model's prompt for the role of the texts in retrieval, if it has one, or else its default prompt.

    Args:
        prompts: of the model, by name.
        name_or_text: the prompt.
        role: of the texts in retrieval.
        default: name of the default prompt, or None.
    """
    if name_or_text is not None:
        return prompts.get(name_or_text, name_or_text)
    names = [*(ROLE_PROMPTS[role] if role else ()), default or ""]
    return next((prompts[name] for name in names if name in prompts), "")
