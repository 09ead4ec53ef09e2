"""The layout of the code: every module with logic has a test file of its name, and folders and files stay small."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CODE = TESTS.parent / "nlpkit"

# Modules that need none.
WITHOUT_LOGIC = (
    "core/io/progress.py",  # the types of two callbacks
    "core/training/option.py",  # the declaration of an option; the command line that reads it is tested
    "nn/backbones/base.py",  # the interface of a backbone
    "serve/limits.py",  # the declaration of options
    "tasks/classify/settings.py",  # the declaration of options, as in the next ones
    "tasks/embed/settings.py",
    "tasks/embed/static/settings.py",
    "tasks/event/model.py",  # names the numbers of labels of `core.spans.linker.LinkerNetwork`
    "tasks/kgqa/settings.py",
    "tasks/ner/settings.py",
    "tasks/relation/model.py",  # as that of events
    "tasks/summarize/settings.py",
    "version.py",
)
MAX_MODULES, MAX_LINES = 12, 400


def test_a_module_with_logic_has_a_test_file_of_its_name():
    """In the same place below tests/ as the module below nlpkit/; packages' own files are left out."""
    modules = [path.relative_to(CODE) for path in sorted(CODE.rglob("*.py")) if path.name != "__init__.py"]
    untested = [path.as_posix() for path in modules if not (TESTS / path.parent / f"test_{path.name}").exists()]
    assert untested == list(WITHOUT_LOGIC)


def test_a_module_without_logic_exists():
    assert [name for name in WITHOUT_LOGIC if not (CODE / name).exists()] == []


def test_a_folder_has_few_modules():
    folders = [path.parent for path in CODE.rglob("__init__.py")]
    assert len(folders) > 10
    many = {str(folder): len(found) for folder in folders if len(found := list(folder.glob("*.py"))) > MAX_MODULES + 1}
    assert many == {}


@pytest.mark.parametrize("top", [CODE, TESTS], ids=lambda top: top.name)
def test_a_file_has_few_lines(top):
    paths = [path for path in top.rglob("*.py") if "bench" not in path.relative_to(top).parts]
    lines = {str(path): path.read_text(encoding="utf-8").count("\n") for path in paths}
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}
