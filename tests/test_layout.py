"""The layout of the code: every module with logic has a test file of its name, and folders and files stay small."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CODE = TESTS.parent / "nlpkit"

# Folders of nlpkit whose modules must have a test file of their name, in the same place below tests/.
FOLDERS = ("core", "nn", "tasks/ner", "tasks/event", "tasks/relation", "tasks/pretrain")

# Modules that need none.
WITHOUT_LOGIC = (
    "core/io/progress.py",  # the types of two callbacks
    "core/training/option.py",  # the declaration of an option; the command line that reads it is tested
    "nn/backbones/base.py",  # the interface of a backbone
    "tasks/event/model.py",  # names the numbers of labels of `core.spans.linker.LinkerNetwork`
    "tasks/relation/model.py",  # likewise
)
MAX_MODULES, MAX_LINES = 12, 400


def modules(folder):
    """Paths relative to nlpkit/, without packages' own files."""
    return [path.relative_to(CODE) for path in sorted((CODE / folder).rglob("*.py")) if path.name != "__init__.py"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_module_with_logic_has_a_test_file_of_its_name(folder):
    tested = [module for module in modules(folder) if (TESTS / module.parent / f"test_{module.name}").exists()]
    untested = [module.as_posix() for module in modules(folder) if module not in tested]
    assert untested == [name for name in WITHOUT_LOGIC if name.startswith(f"{folder}/")]


def test_a_module_without_logic_exists():
    assert [name for name in WITHOUT_LOGIC if not (CODE / name).exists()] == []


def test_a_folder_has_few_modules():
    folders = [path.parent for path in CODE.rglob("__init__.py")]
    assert len(folders) > 10
    many = {str(folder): len(found) for folder in folders if len(found := list(folder.glob("*.py"))) > MAX_MODULES + 1}
    assert many == {}


@pytest.mark.parametrize("top", [CODE, *(TESTS / folder for folder in FOLDERS)], ids=lambda top: top.name)
def test_a_file_has_few_lines(top):
    lines = {str(path): path.read_text(encoding="utf-8").count("\n") for path in top.rglob("*.py")}
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}
