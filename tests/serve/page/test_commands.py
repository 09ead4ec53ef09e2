"""The commands that the page offers, run by bash."""

import json
import os
import subprocess
from typing import Any

import pytest

HOSTILE_TEXT = "it's \"$HOME\" `id` \\ $(id) !x 100% 华为\n第二行\t的 'end\\"
only_stub = pytest.mark.skipif("NLPKIT_PAGE_URL" in os.environ, reason="needs the answers of the stub")
pytestmark = pytest.mark.slow


def copied(page: Any, panel: Any, *, plain_http: bool = False) -> list[str]:
    """Return what the copy buttons of a panel copy."""
    commands = []
    if plain_http:
        page.script("navigator.clipboard.writeText = () => Promise.reject(new Error('no clipboard'))")
    for button in panel.find_elements("css selector", ".copy"):
        button.click()
        status = button.find_element("xpath", "preceding-sibling::*[@role='status']")
        page.wait(lambda status=status: status.text == "Copied")
        commands.append(page.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])"))
    return commands


def arguments_of(command: str, name: str, tmp_path: Any) -> tuple[list[str], str]:
    """Run a command in bash with a program that records its arguments and input; return both."""
    program = tmp_path / name
    program.write_text(f'#!/bin/bash\nprintf "%s\\0" "$@" > {tmp_path}/arguments\ncat > {tmp_path}/input\n')
    program.chmod(0o755)
    script = tmp_path / "command.sh"
    script.write_text(command, encoding="utf-8")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/wrong"}
    subprocess.run(["bash", str(script)], env=environment, check=True, stdin=subprocess.DEVNULL)
    found = (tmp_path / "arguments").read_text(encoding="utf-8").split("\0")[:-1]
    return found, (tmp_path / "input").read_text(encoding="utf-8")


@pytest.mark.parametrize("plain_http", [False, True])
@pytest.mark.parametrize("text", [HOSTILE_TEXT, HOSTILE_TEXT.replace("\n", " "), "-n %s 👍"])
def test_the_copied_commands_have_the_same_text(page, tmp_path, text, plain_http):
    task = page.tasks()[0]
    curl, nlpkit = copied(page, page.run(task, text), plain_http=plain_http)
    arguments, _ = arguments_of(curl, "curl", tmp_path)
    assert json.loads(arguments[arguments.index("-d") + 1]) == {"text": text}
    assert f"{page.url}v1/{task}" in arguments
    arguments, line = arguments_of(nlpkit, "nlpkit", tmp_path)
    assert arguments[0] == task
    if "\n" in text:
        assert arguments[1:] == ["--field", "text"]
        assert json.loads(line) == {"text": text}
        assert line.count("\n") == 1
    else:
        assert arguments[1:] == []
        assert line == f"{text}\n"


@only_stub
def test_commands_name_the_model_and_the_options(page):
    panel = page.run("relation", "《三体》")
    assert page.texts(panel, ".command code")[1].endswith("| nlpkit relation --model 'my-model'")
    panel = page.run("kgqa", "长江的长度是多少？")
    assert page.texts(panel, ".command code")[1] == "printf '%s\\n' '长江的长度是多少？' | nlpkit kgqa --graph G.kg"
    page.one("#tab-search").click()
    page.script("document.getElementById('k').value = 3")
    panel = page.run("search", "酒店隔音怎么样")
    assert page.texts(panel, ".command code")[1].endswith("| nlpkit search query IDX -k 3")


@only_stub
def test_a_long_text_is_drawn_in_pieces(page, tmp_path):
    text = "华为在深圳与任正非签署协议，新的一行\n二" * 4900
    page.script(
        "window.longest = 0; let last = performance.now();"
        "setInterval(() => { const now = performance.now(); window.longest = Math.max(window.longest, now - last);"
        " last = now; }, 10)"
    )
    panel = page.run("ner", text)
    page.wait(lambda: len(panel.find_elements("css selector", ".line")) == 4901)
    assert page.script("return window.longest") < 3000
    assert len(page.texts(panel, "tbody tr")) == 200
    curl, nlpkit = copied(page, panel)
    arguments, line = arguments_of(curl, "curl", tmp_path)
    assert arguments[-1] == "@-"
    assert json.loads(line) == {"text": text}
    assert json.loads(arguments_of(nlpkit, "nlpkit", tmp_path)[1]) == {"text": text}
    assert len(page.texts(panel, ".command code")[0]) < 2100
