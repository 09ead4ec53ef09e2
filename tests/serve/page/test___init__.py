"""The files of the page, read without a browser."""

import json
import re

import pytest

from nlpkit.serve.page import PAGE_HEADERS, page_file
from nlpkit.tasks import TASKS

SCRIPTS = (
    "api.js", "app.js", "commands.js", "dom.js", "graph.js", "marks.js", "panel.js", "strings.js", "table.js",
    "tasks.js", "views.js",
)  # fmt: skip
FILES = ("index.html", "style.css", "strings.json", "icon.svg", *SCRIPTS)


def content(name: str) -> str:
    found = page_file(name)
    assert found is not None
    return found[0].decode()


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("strings.json", "application/json"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_a_file_has_a_media_type(name, media_type):
    found = page_file(name)
    assert found is not None
    assert found[0]
    assert found[1] == media_type


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "__init__.py", "../app.py", "./index.html", "../page/index.html", "%2e%2e/app.py",
     "index.html\0", "INDEX.HTML", "/etc/passwd", "__pycache__", "missing.js"],
)  # fmt: skip
def test_no_other_file_is_served(name):
    assert page_file(name) is None


def test_the_headers_forbid_inline_scripts_and_other_hosts():
    policy = dict(part.strip().split(" ", 1) for part in PAGE_HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert "unsafe" not in PAGE_HEADERS["Content-Security-Policy"]
    assert PAGE_HEADERS["X-Content-Type-Options"] == "nosniff"
    assert {"Referrer-Policy", "Cache-Control"} <= set(PAGE_HEADERS)


@pytest.mark.parametrize("name", FILES)
def test_a_file_names_no_other_host(name):
    addresses = re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z0-9./-]+", content(name))
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_never_parses_text_as_code_or_markup(name):
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc"
    assert re.findall(forbidden, content(name)) == []
    assert content(name).count("\n") <= 400


def test_the_document_has_nothing_inline():
    document = content("index.html")
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", document) == []
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", document))


def test_files_that_are_named_exist():
    named = set(re.findall(r"static/([\w.-]+)", content("index.html") + content("strings.js")))
    for script in SCRIPTS:
        named |= set(re.findall(r'from "\./([\w.-]+)"', content(script)))
    assert named <= set(FILES)
    assert named | {"index.html"} == set(FILES)


def test_every_string_has_both_languages():
    strings = json.loads(content("strings.json"))
    assert set(strings) == {"en", "zh"}
    assert list(strings["en"]) == list(strings["zh"])
    for key, english in strings["en"].items():
        chinese = strings["zh"][key]
        assert english.strip(), key
        assert chinese.strip(), key
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", chinese)), key


def test_strings_that_are_used_exist_and_others_do_not():
    strings = json.loads(content("strings.json"))["en"]
    code = "".join(content(name) for name in (*SCRIPTS, "index.html"))
    used = set(re.findall(r'\bt\("([\w.]+)"', code)) | set(
        re.findall(r'data-string(?:-[\w-]+)?"?[:=] ?"([\w.]+)"', code)
    )
    used |= set(re.findall(r'\bt\(\w+ \? "([\w.]+)" : "[\w.]+"\)', code))
    used |= set(re.findall(r'\bt\(\w+ \? "[\w.]+" : "([\w.]+)"\)', code))
    used |= {f"{key}.{form}" for key in re.findall(r'\bcount\("([\w.]+)"', code) for form in ("one", "other")}
    computed = r"(task|about|field|error|placeholder)\.\w+|kgqa\.(ok|unsure|not_in_graph|unknown)|subject|object"
    assert used <= set(strings)
    assert [key for key in strings if key not in used and not re.fullmatch(computed, key)] == []


def test_the_default_models_are_those_of_the_commands():
    block = re.search(r"DEFAULT_MODELS = \{([^}]*)\}", content("tasks.js"))
    assert block is not None
    models = dict(re.findall(r'(\w+): "([\w-]+)"', block[1]))
    assert models == {task.name: task.default_model for task in TASKS}


def luminance(color: str) -> float:
    """Return the relative luminance of #rrggbb, as WCAG defines it."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_enough_contrast(theme):
    block = re.findall(r":root \{([^}]*)\}", content("style.css"))[theme]
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    marks = [name for name in colors if name.startswith("mark-")]
    assert len(marks) == 8
    pairs = [("text", name, 4.5) for name in ("background", "surface", "soft", *marks)]
    pairs += [("muted", name, 4.5) for name in ("background", "surface", "soft")]
    pairs += [
        ("error", "error-soft", 4.5),
        ("accent-text", "accent", 4.5),
        ("good", "soft", 4.5),
        ("warn", "soft", 4.5),
    ]
    pairs += [
        ("good", "surface", 4.5),
        ("control", "surface", 3),
        ("accent", "surface", 3),
        ("accent", "background", 3),
    ]
    for front, back, least in pairs:
        dark, light = sorted((luminance(colors[front]), luminance(colors[back])))
        assert (light + 0.05) / (dark + 0.05) >= least, (front, back)
