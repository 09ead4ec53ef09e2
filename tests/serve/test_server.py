"""A service as a process: it answers, ends well, and says in one line what prevents it from listening."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from support import SENTENCE, environment

SECONDS = 120


@pytest.fixture
def start(tiny, tmp_path):
    """Starts `nlpkit serve` with the tiny model at a free port; gives the process and its address."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "nlpkit", "serve", "--task", "ner", "--model", f"ner={tiny}", *arguments]
        process = subprocess.Popen(
            [*command, "--port", "0", "--runtime", "torch"], stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env=environment(),
        )  # fmt: skip
        started.append(process)
        line = process.stderr.readline()
        return process, line.rpartition(" at ")[2].strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


def ask(address, text):
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(f"{address}/v1/ner", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        return json.load(response)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_and_finishes_what_it_has_accepted(start, number):
    process, address = start()
    assert ask(address, SENTENCE)["text"] == SENTENCE
    answers = []
    long = SENTENCE * 200
    threads = [threading.Thread(target=lambda: answers.append(ask(address, long)["text"])) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    process.send_signal(number)
    for thread in threads:
        thread.join(SECONDS)
    assert answers == [long] * 3
    assert process.wait(SECONDS) in (0, 128 + number, -number)
    log = process.stderr.read()
    assert "POST /v1/ner 200" in log
    requests = [json.loads(line) for line in log.splitlines()]
    assert [(line["route"], line["status"]) for line in requests] == [("/v1/ner", 200)] * 4
    assert all(line["milliseconds"] > 0 for line in requests)
    assert SENTENCE not in log
    assert "Traceback" not in log


def test_what_a_client_that_has_gone_asked_for_is_dropped(start):
    process, address = start("--batch-characters", "200")
    body = json.dumps({"texts": [SENTENCE] * 1000}).encode()
    head = f"POST /v1/ner HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), SECONDS) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        while waiting(address) == 0:
            time.sleep(0.02)
    until = time.monotonic() + SECONDS
    while waiting(address) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.wait(SECONDS)
    assert "POST /v1/ner 499" in process.stderr.read()


def waiting(address):
    """The number of characters in the queue."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=SECONDS) as response:
        [line] = [line for line in response.read().decode().splitlines() if line.startswith("nlpkit_queue_characters ")]
    return float(line.split()[1])


def test_hostile_bodies_and_connections_are_no_500(start):
    process, address = start()
    host, port = address.removeprefix("http://").split(":")
    for number in range(60):
        body = bytes((number * 7 + index * 13) % 256 for index in range(number * 5))
        with socket.create_connection((host, int(port)), SECONDS) as connection:
            length = len(body) + number % 3 * 10
            head = ["POST /v1/ner HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
            head += [f"Content-Length: {length}", "Connection: close", "", ""]
            connection.sendall("\r\n".join(head).encode() + body)
            connection.shutdown(socket.SHUT_WR)  # half closed, some with a body that is too short
            reply = connection.recv(100)
            assert b" 500 " not in reply
    assert ask(address, SENTENCE)["text"] == SENTENCE
    process.send_signal(signal.SIGTERM)
    process.wait(SECONDS)
    assert "internal error" not in process.stderr.read()


@pytest.mark.parametrize(("options", "hinted"), [([], True), (["--api-key", "k"], False)])
def test_a_service_for_all_without_a_key_says_so(start, options, hinted):
    process, _ = start("--host", "0.0.0.0", *options)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    process.wait(SECONDS)
    assert ("hint: everyone who reaches this address can use the service" in process.stderr.read()) == hinted


def test_a_port_in_use_is_one_line(fails, tiny):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        line = fails(1, "serve", "--task", "ner", "-m", f"ner={tiny}", "--port", port)
    cure = "stop what listens there, or choose another --port"
    assert line == f"127.0.0.1:{port}: cannot listen on this address (Address already in use); {cure}"
