"""The routes: answers, refusals with their status, keys, hosts, and the neighbours in a batch."""

import json
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serve_support import Model, application
from starlette.testclient import TestClient

from nlpkit.serve.app import Application
from nlpkit.serve.limits import Limits
from nlpkit.serve.services import Service

SMALL = Limits(max_body=2000, max_texts=3, max_characters=50, max_queue=100, timeout=5)


@pytest.fixture
def start():
    """Starts applications; gives their clients, with `models`."""
    clients = []

    def start(limits=None, **options):
        made, models = application(limits, **options)
        client = TestClient(made.api, base_url="http://localhost")
        client.__enter__()
        client.models = models
        clients.append(client)
        return client

    yield start
    for client in clients:
        for model in client.models.values():
            model.gate.set()
        client.__exit__(None, None, None)


def post(client, path, value, **options):
    return client.post(path, content=json.dumps(value), headers={"Content-Type": "application/json"}, **options)


def refused(response, status, code):
    """The message of a response that is a refusal."""
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}
    return error["message"]


def test_messages_are_in_the_language_of_the_client(start):
    client = start(translate={"send either 'text' or 'texts'": "只能发送一个"}.get)
    for language, message in (("zh-CN,zh;q=0.9", "只能发送一个"), ("en, zh", "send either 'text' or 'texts'")):
        headers = {"Content-Type": "application/json", "Accept-Language": language}
        response = client.post("/v1/ner", content='{"text": "一", "texts": []}', headers=headers)
        assert refused(response, 422, "invalid") == message
        assert response.headers["Content-Language"] == language[:2]


def test_one_text_or_a_list(start):
    client = start()
    assert post(client, "/v1/ner", {"text": "一二"}).json()["length"] == 2
    results = post(client, "/v1/ner", {"texts": ["一", "三四五"]}).json()["results"]
    assert [record["length"] for record in results] == [1, 3]
    assert post(client, "/v1/ner", {"texts": []}).json() == {"results": []}
    record = post(client, "/v1/embed", {"text": "一"}).json()
    assert (record["text"], len(record["embedding"])) == ("一", 8)


def test_an_option_is_passed_on(start):
    client = start()
    answer = post(client, "/v1/ner", {"text": "一", "threshold": 0.25}).json()
    assert answer["entities"][0]["score"] == 0.25


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({}, 422, "invalid", "the field 'text' must be a text or a list of texts"),
        ({"text": 5}, 422, "invalid", "the field 'text' must be"),
        ({"text": ["a"]}, 422, "invalid", "the field 'text' must be a text"),
        ({"texts": "a"}, 422, "invalid", "the field 'texts' must be a list of texts"),
        ({"texts": ["a", None]}, 422, "invalid", "the field 'texts' must be"),
        ({"text": "a", "texts": ["a"]}, 422, "invalid", "send either 'text' or 'texts'"),
        ({"text": "a", "model": "/etc/passwd"}, 422, "invalid", "unknown field 'model'; there are: text, threshold"),
        ({"text": "a", "threshold": "0.5"}, 422, "invalid", "the field 'threshold' must be a number"),
        ({"text": "a", "threshold": True}, 422, "invalid", "the field 'threshold' must be a number"),
        ({"text": "a", "threshold": 2}, 422, "invalid", "a number from 0.001 to 0.999"),
        ({"texts": ["a"] * 4}, 413, "too_many_texts", "4 texts, more than 3 (--max-texts)"),
        ({"text": "a" * 51}, 413, "text_too_long", "a text of 51 characters, more than 50 (--max-characters)"),
        ({"text": "a" * 3000}, 413, "body_too_large", "a body of more than 2,000 bytes (--max-body)"),
    ],
)
def test_a_body_that_is_not_valid_is_refused_with_the_cure(start, body, status, code, message):
    client = start(SMALL)
    assert message in refused(post(client, "/v1/ner", body), status, code)
    assert client.models["ner"].calls == []


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b'"text"', b"[" * 1500])
def test_what_is_no_json_object_is_refused(start, content):
    response = start(SMALL).post("/v1/ner", content=content, headers={"Content-Type": "application/json"})
    assert "the body" in refused(response, 422, "invalid")


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=9)
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner))
NAMES = ("text", "texts", "threshold", "k", "explain", "input", "model", "encoding_format", "dimensions", "user",
         "tasks", "data", "x")  # fmt: skip
TASKS = st.lists(st.fixed_dictionaries({"data": st.fixed_dictionaries({"text": VALUES}) | VALUES}), max_size=3)
FIELDS = st.dictionaries(st.sampled_from(NAMES), VALUES | TASKS, max_size=4)
BODIES = st.binary(max_size=40) | st.builds(
    lambda value, encoding, escaped: json.dumps(value, ensure_ascii=escaped).encode(encoding, "surrogatepass"),
    FIELDS | VALUES,
    st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.booleans(),
)
ROUTES = ("/v1/ner", "/v1/embed", "/v1/kgqa", "/v1/search", "/v1/embeddings", "/predict", "/setup")


@pytest.fixture(scope="module")
def service():
    """A client of a running application with all kinds of options."""
    options = {"ner": {"threshold": float}, "embed": {}, "kgqa": {"explain": bool}, "search": {"k": int}}
    services = {task: Service(task, task, 8, Model(task), known) for task, known in options.items()}
    made = Application(services, Limits(max_texts=3, max_characters=50))
    assert {route.path for route in made.api.routes if "POST" in route.methods} == set(ROUTES)
    with TestClient(made.api, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize("route", ROUTES)
@given(body=BODIES, language=st.sampled_from(["zh-CN,zh;q=0.9", "en", ""]))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_is_a_fault(service, route, body, language):
    headers = {"Content-Type": "application/json", "Accept-Language": language}
    response = service.post(route, content=body, headers=headers)
    assert response.status_code in (200, 404, 413, 422)
    assert response.status_code == 200 or response.json()["error"]["message"]


DEEP = b"[" * 1015 + b"]" * 1015


@pytest.mark.parametrize("route", ROUTES[:-1])
@pytest.mark.parametrize("name", ["text", "texts", "input", "model", "tasks", "user", "threshold", "other"])
def test_a_deep_body_is_no_fault(service, route, name):
    body = b'{"%s": %s}' % (name.encode(), DEEP)
    refused(service.post(route, content=body, headers={"Content-Type": "application/json"}), 422, "invalid")


def test_a_body_in_chunks_is_read(service):
    pieces = iter([b'{"text": ', '"一'.encode()[:3], '"一'.encode()[3:], b'"}'])
    response = service.post("/v1/ner", content=pieces, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["length"]) == (200, 1)


@pytest.mark.parametrize("host", ["[evil", "a b", "[::1", "x" * 9000, "é", "%00"])
def test_no_host_is_a_fault(start, host):
    client = start(loopback=False, api_key="k")
    for path in ("/healthz", "/v1/ner", "/v1/ner/", "/nothing/"):
        response = client.get(path, headers={"Host": host.encode("latin-1")})
        assert response.status_code in (200, 401, 404)
        assert "location" not in response.headers


def test_another_content_type_is_refused(start):
    """So that a page of another site needs permission, which it does not get."""
    client = start()
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        response = client.post("/v1/ner", content=b'{"text": "a"}', headers={"Content-Type": kind})
        assert "Content-Type: application/json" in refused(response, 415, "content_type")
    assert "access-control-allow-origin" not in client.get("/healthz", headers={"Origin": "http://evil"}).headers


def test_paths_and_methods_that_there_are_not(start):
    client = start()
    assert "there is no such path; there are: POST /v1/ner" in refused(client.get("/v1/nothing"), 404, "not_found")
    assert "the method GET is not allowed" in refused(client.get("/v1/ner"), 405, "not_found")
    assert client.get("/static/..%2f..%2fapp.py").status_code == 404


def test_a_key(start):
    client = start(api_key="密key")
    assert "Authorization: Bearer KEY" in refused(post(client, "/v1/ner", {"text": "a"}), 401, "invalid_api_key")
    for wrong in ("Bearer x", "Bearer ", "key"):
        response = client.post("/v1/ner", content=b'{"text":"a"}', headers={"Authorization": wrong})
        refused(response, 401, "invalid_api_key")
    for path in ("/healthz", "/readyz", "/", "/static/app.js"):  # the page has a field for the key
        assert client.get(path).status_code == 200
    refused(client.get("/metrics"), 401, "invalid_api_key")
    headers = {"Authorization": "Bearer 密key".encode(), "Content-Type": b"application/json"}
    assert client.post("/v1/ner", content=b'{"text":"a"}', headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "[::1]"])
def test_the_names_of_this_machine_are_valid_hosts(start, host):
    assert start().get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "localhost.", ""])
def test_another_host_is_refused_on_the_loopback(start, host):
    client = start()
    assert "is not a name of this machine" in refused(client.get("/healthz", headers={"Host": host}), 421, "host")
    assert start(loopback=False).get("/healthz", headers={"Host": host}).status_code == 200


def test_a_full_queue_is_429_with_the_time_to_wait(start):
    client = start(SMALL)
    model = client.models["ner"]
    model.gate.clear()
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(post(client, "/v1/ner", {"texts": ["x" * 45] * 2})))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    while not any(answer.status_code == 429 for answer in list(answers)):
        pass
    model.gate.set()
    for thread in threads:
        thread.join(30)
    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) == {200, 429}
    full = next(answer for answer in answers if answer.status_code == 429)
    assert int(full.headers["Retry-After"]) >= 1
    assert "too many requests are waiting" in refused(full, 429, "overloaded")


def test_a_request_that_waits_too_long_is_504(start):
    client = start(Limits(timeout=0.2))
    model = client.models["ner"]
    model.gate.clear()
    answers = []
    threads = [
        threading.Thread(target=lambda text=text: answers.append(post(client, "/v1/ner", {"text": text})))
        for text in ("一", "二", "三")
    ]
    threads[0].start()
    assert model.entered.wait(30)
    for thread in threads[1:]:
        thread.start()
    threading.Event().wait(0.5)
    model.gate.set()
    for thread in threads:
        thread.join(30)
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert statuses[-1] == 504


def test_a_fault_of_a_model_is_500_and_does_not_stop_the_service(start, caplog):
    client = start()
    client = TestClient(client.app, base_url="http://localhost", raise_server_exceptions=False)
    assert "boom" not in refused(post(client, "/v1/ner", {"text": "boom"}), 500, "internal")
    assert post(client, "/v1/ner", {"text": "一"}).status_code == 200
    assert "boom" not in caplog.text


def test_a_damaged_file_is_a_fault_of_the_service_and_logged(start, caplog):
    client = start()
    assert "idx" not in refused(post(client, "/v1/ner", {"text": "damage"}), 500, "internal")
    assert "idx/records.jsonl: broken in record 3; build the index again" in caplog.text
    assert "cannot be read; change it" in refused(post(client, "/v1/ner", {"text": "usage"}), 422, "invalid")


def test_simultaneous_requests_are_processed_together_and_get_their_own_answers(start):
    client = start()
    model = client.models["ner"]
    model.gate.clear()
    answers = {}

    def ask(length):
        answers[length] = post(client, "/v1/ner", {"text": "x" * length}).json()["length"]

    threads = [threading.Thread(target=ask, args=(length,)) for length in range(1, 21)]
    for thread in threads:
        thread.start()
    threading.Event().wait(0.5)
    model.gate.set()
    for thread in threads:
        thread.join(30)
    assert answers == {length: length for length in range(1, 21)}
    assert len(model.calls) < 20


def test_metrics_have_no_texts(start):
    client = start()
    post(client, "/v1/ner", {"text": "机密文本"})
    post(client, "/v1/ner", {"no": "机密文本"})
    found = client.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'nlpkit_requests_total{route="/v1/ner",status="200"} 1.0' in found.text
    assert 'nlpkit_refused_total{reason="invalid"} 1.0' in found.text
    assert 'nlpkit_batch_texts_count{task="ner"} 1.0' in found.text
    assert "nlpkit_queue_characters 0.0" in found.text
    assert "机密" not in found.text


def test_ready_says_the_tasks(start):
    assert start().get("/readyz").json() == {"status": "ok", "tasks": ["ner", "embed"]}
    models = start().get("/v1/models").json()["data"]
    assert [(model["id"], model["task"]) for model in models] == [("tiny", "ner"), ("tiny-embed", "embed")]
    assert [model.get("threshold") for model in models] == [0.5, None]


def test_logs_have_no_texts(start, caplog):
    caplog.set_level("INFO", "nlpkit.serve")
    post(start(), "/v1/ner", {"text": "机密文本"})
    assert "POST /v1/ner 200" in caplog.text
    assert "机密" not in caplog.text


def test_label_studio(start):
    client = start()
    assert client.get("/health").json()["status"] == "UP"
    assert post(client, "/setup", {"project": "1", "schema": "<View/>"}).json() == {"model_version": "tiny"}
    tasks = [{"id": 7, "data": {"text": "一二"}}, {"id": 8, "data": {"text": "无"}}]
    first, second = post(client, "/predict", {"tasks": tasks, "project": "1"}).json()["results"]
    (region,) = first["result"]
    assert region["value"] == {"start": 0, "end": 1, "text": "一", "labels": ["name"]}
    assert (region["from_name"], region["to_name"], region["type"]) == ("label", "text", "labels")
    assert (second["result"], second["model_version"]) == ([], "tiny")
    for bad in ({}, {"tasks": 5}, {"tasks": [5]}, {"tasks": [{"data": {"html": "x"}}]}):
        refused(post(client, "/predict", bad), 422, "invalid")
