"""A stand-in for `nlpkit serve`: the page, and recorded answers of the models."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nlpkit.serve.page import PAGE_HEADERS, page_file

ANSWERS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "answers.json").read_text(encoding="utf-8"))
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1100,1000",
)  # fmt: skip
TASKS = ("ner", "relation", "event", "embed", "classify", "kgqa", "search")
MODELS = {"ner": "ner-cluener", "relation": "my-model", "event": "event", "embed": "embed-base",
          "classify": "sentiment", "kgqa": "kgqa", "search": "embed-base"}  # fmt: skip
THRESHOLDS = {"ner": 0.4321098, "relation": 0.5, "event": 0.25, "classify": 0.0}  # the models' own
ATTACK = '<img src=x onerror="document.title=\'attacked\'"><script>document.title="attacked"</script>'
EMPTY: dict[str, dict[str, Any]] = {
    "ner": {"entities": []},
    "relation": {"relations": []},
    "event": {"events": []},
    "classify": {"label": None, "score": None, "labels": []},
    "kgqa": {"status": "not_in_graph", "answers": []},
    "embed": {"embedding": None},
    "search": {"results": []},
}


def attack(task: str, text: str) -> Any:
    """Return a record that has markup in every field."""
    span = {"start": 0, "end": 4, "text": ATTACK, "label": ATTACK, "score": 0.5}
    step = {"after": ATTACK, "allowed": 2, "chosen": ATTACK, "options": {ATTACK: 0.5}}
    fact = {"subject": ATTACK, "meaning": ATTACK, "predicate": ATTACK, "objects": [ATTACK], "score": 0.5}
    return {
        "ner": {"text": text, "entities": [span]},
        "relation": {"text": text, "relations": [{"subject": span, "predicate": ATTACK, "object": span, "score": 0.5}]},
        "event": {
            "text": text,
            "events": [{"type": ATTACK, "trigger": span, "arguments": [{"role": ATTACK, **span}], "score": 0.5}],
        },
        "classify": {"text": text, "label": ATTACK, "score": 0.5, "labels": [{"label": ATTACK, "score": 0.5}]},
        "kgqa": {"question": text, "status": ATTACK, "answers": [{**fact, "path": [fact]}], "steps": [step]},
        "embed": {"text": text, "embedding": [0.5, 0.5]},
        "search": {"query": text, "results": [{"text": ATTACK, "score": 0.5, "line": ATTACK}]},
    }[task]


class Stub(ThreadingHTTPServer):
    """A service with recorded answers.

    Attributes:
        key: that requests must have, if any.
        requests: bodies of the requests to /v1/TASK so far, with the task.
        languages: the header Accept-Language of these requests.
        release: lets requests end whose text has 慢.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.key: str | None = None
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.languages: list[str | None] = []
        self.release = threading.Event()

    @property
    def url(self) -> str:
        """Return the address of the page."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def answer(self, task: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Return the status and the answer to a request."""
        self.requests.append((task, body))
        if "texts" in body:
            return 200, {"results": [self.record(task, text) for text in body["texts"]]}
        text = body["text"]
        if "慢" in text:
            self.release.wait(20)
        if "太长" in text:
            message = "a text of 200,000 characters, more than 100,000 (--max-characters); split it <b>now</b>"
            return 413, {"error": {"message": message, "type": "invalid_request_error", "param": "text", "code": "x"}}
        steps = {"steps": ANSWERS["steps"].get(text, [])} if body.get("explain") else {}
        return 200, {**self.record(task, text), **steps}

    def record(self, task: str, text: str) -> Any:
        """Return the record of a text: the recorded one, or one without results."""
        if "onerror" in text:
            return attack(task, text)
        if text.startswith("重叠"):
            spans = [(0, 6, "a"), (2, 4, "b"), (4, 8, "c"), (4, 6, "d"), (9, 99, "e"), (-1, 3, "f")]
            return {
                "text": text,
                "entities": [
                    {"start": s, "end": e, "label": name, "text": text[s:e], "score": 0.5} for s, e, name in spans
                ],
            }
        if task == "ner" and len(text) > 10_000:
            spans = [(place, place + 2, "name") for place in range(0, len(text) - 2, 20)]
            return {
                "text": text,
                "entities": [
                    {"start": s, "end": e, "label": name, "text": text[s:e], "score": 0.5} for s, e, name in spans
                ],
                "windows": 9,
            }
        name = {"search": "query", "kgqa": "question"}.get(task, "text")
        return ANSWERS[task].get(text, {name: text, **EMPTY[task]})


class Handler(BaseHTTPRequestHandler):
    """The routes of the stub."""

    server: Stub

    def do_GET(self) -> None:
        if self.path == "/readyz":
            return self.reply(200, {"status": "ok", "tasks": TASKS})
        if self.path == "/v1/models":
            if not self.authorized():
                return self.reply(401, {"error": {"message": "the key is missing or wrong"}})
            data = [
                {"id": MODELS[task], "object": "model", "task": task}
                | ({"threshold": THRESHOLDS[task]} if task in THRESHOLDS else {})
                for task in TASKS
            ]
            return self.reply(200, {"object": "list", "data": data})
        found = page_file("index.html" if self.path == "/" else self.path.removeprefix("/static/"))
        if found is None:
            return self.send_error(404)
        content, media_type = found
        self.send_response(200)
        for name, value in {**PAGE_HEADERS, "Content-Type": media_type, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        return None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.authorized():
            return self.reply(401, {"error": {"message": "the key is missing or wrong"}})
        self.server.languages.append(self.headers.get("Accept-Language"))
        return self.reply(*self.server.answer(self.path.removeprefix("/v1/"), body))

    def authorized(self) -> bool:
        return self.server.key is None or self.headers.get("Authorization") == f"Bearer {self.server.key}"

    def reply(self, status: int, value: Any) -> None:
        content = json.dumps(value).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the page has cancelled the request

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def running_stub() -> Iterator[Stub]:
    """Run a stub for the tests of a module."""
    server = Stub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stub(running_stub: Stub) -> Iterator[Stub]:
    """Return the stub, as new."""
    running_stub.key, running_stub.requests, running_stub.languages = None, [], []
    running_stub.release.clear()
    yield running_stub
    running_stub.release.set()


@pytest.fixture
def base_url(request: pytest.FixtureRequest) -> str:
    """Return the address of a service: that in NLPKIT_PAGE_URL, with a slash at the end, else that of the stub."""
    given = os.environ.get("NLPKIT_PAGE_URL")
    return given or str(request.getfixturevalue("stub").url)


class Page:
    """The page in a browser."""

    def __init__(self, driver: Any, url: str):
        self.driver, self.url = driver, url

    def open(self, fragment: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}{fragment}")
        self.wait(lambda: self.all("[role=tab]"))

    def tasks(self) -> list[str]:
        """Return the tasks that have a tab."""
        return [tab.get_attribute("data-task") for tab in self.all("[role=tab]")]

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def wait(self, condition: Any) -> Any:
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 20, poll_frequency=0.05).until(lambda _: condition())

    def script(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def type(self, task: str, text: str) -> None:
        """Put a text into the field of a task, with characters that the driver cannot type."""
        field = self.one(f"#text-{task}")
        self.script("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))", field, text)

    def run(self, task: str, text: str) -> Any:
        """Run a task on a text, and return its panel with the result."""
        self.one(f"#tab-{task}").click()
        self.type(task, text)
        panel = self.one(f"#panel-{task}")
        self.script("arguments[0].querySelector('.result').replaceChildren()", panel)
        panel.find_element("css selector", ".primary").click()
        self.wait(lambda: panel.find_elements("css selector", ".command"))
        return panel

    def texts(self, panel: Any, selector: str) -> list[str]:
        """Return the text contents of elements; unlike `text`, also of hidden ones and of SVG."""
        found = panel.find_elements("css selector", selector)
        return [element.get_attribute("textContent") for element in found]

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def requests(self) -> list[str]:
        """Return the addresses of all requests so far."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Run Chromium for the tests of a module, with an empty profile."""
    pytest.importorskip("selenium")
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    if not (CHROMIUM and DRIVER):
        pytest.skip("needs chromium and chromedriver")
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}", "--lang=en-US"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Chrome(options=options, service=ChromeService(str(DRIVER)))
    yield browser
    browser.quit()


@pytest.fixture
def page(driver: Any, base_url: str) -> Iterator[Page]:
    """Return the page, newly opened in English; at the end, check that it asked no other host."""
    found = Page(driver, base_url)
    found.open()
    driver.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"origin": base_url.rstrip("/"), "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]},
    )
    found.script("localStorage.clear()")
    found.open()
    found.requests()  # those of the browser's own start page
    found.open()
    yield found
    assert [url for url in found.requests() if not url.startswith((base_url, "data:", "about:"))] == []
