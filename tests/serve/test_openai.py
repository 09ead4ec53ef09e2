"""The embeddings endpoint with the official client of OpenAI, over a real connection."""

import base64
import json
import threading
import time

import numpy as np
import pytest
from serve_support import application
from starlette.testclient import TestClient

from nlpkit.serve.limits import Limits

openai = pytest.importorskip("openai")


@pytest.fixture(scope="module")
def client():
    """The official client of a service that listens."""
    uvicorn = pytest.importorskip("uvicorn")
    made, _ = application(Limits(max_texts=4), api_key="secret")
    server = uvicorn.Server(uvicorn.Config(made.api, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="secret", max_retries=0) as made_client:
        yield made_client
    server.should_exit = True
    thread.join(30)


def test_vectors_of_texts(client):
    """The client asks for base64 by itself."""
    answer = client.embeddings.create(model="tiny-embed", input=["一", "二三"])
    assert [each.index for each in answer.data] == [0, 1]
    assert answer.data[1].embedding == [float(2 * number) for number in range(1, 9)]
    assert (answer.model, answer.usage.prompt_tokens) == ("tiny-embed", 3)
    assert client.embeddings.create(model="tiny-embed", input="一").data[0].embedding == answer.data[0].embedding


def test_floats_and_base64_are_the_same(client):
    as_floats = client.embeddings.create(model="tiny-embed", input="一", encoding_format="float").data[0].embedding
    encoded = client.embeddings.create(model="tiny-embed", input="一", encoding_format="base64").data[0].embedding
    assert np.frombuffer(base64.b64decode(encoded), "<f4").tolist() == as_floats


def test_fewer_dimensions_have_unit_length(client):
    (vector,) = (each.embedding for each in client.embeddings.create(model="tiny-embed", input="一", dimensions=3).data)
    assert vector == pytest.approx(np.array([1, 2, 3]) / np.sqrt(14))


def test_a_user_is_accepted_and_ignored(client):
    assert len(client.embeddings.create(model="tiny-embed", input="一", user="me").data) == 1


def test_the_models_are_listed(client):
    assert [model.id for model in client.models.list()] == ["tiny", "tiny-embed"]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"model": "other"}, "NotFoundError", "there is no model 'other'; there is: tiny-embed"),
        ({"input": ""}, "UnprocessableEntityError", "the input must not be empty"),
        ({"input": []}, "UnprocessableEntityError", "the input must not be empty"),
        ({"input": ["一", ""]}, "UnprocessableEntityError", "the input must not be empty"),
        ({"input": ["一", "\u3000\n"]}, "UnprocessableEntityError", "leave out empty and blank texts"),
        ({"extra_body": {"model": [["tiny-embed"]]}}, "UnprocessableEntityError", "'model' must be a text"),
        ({"input": [1, 2]}, "UnprocessableEntityError", "numbers of tokens are of another tokenizer"),
        ({"input": [[1, 2]]}, "UnprocessableEntityError", "numbers of tokens are of another tokenizer"),
        ({"dimensions": 9}, "UnprocessableEntityError", "must be a whole number from 1 to 8"),
        ({"dimensions": 0}, "UnprocessableEntityError", "must be a whole number from 1 to 8"),
        ({"encoding_format": "hex"}, "UnprocessableEntityError", "must be float or base64"),
        ({"extra_body": {"prompt": "x"}}, "UnprocessableEntityError", "unknown field 'prompt'"),
        ({"input": ["一"] * 5}, "APIStatusError", "5 texts, more than 4 (--max-texts)"),
    ],
)
def test_errors_are_in_the_shape_of_openai(client, options, kind, message):
    with pytest.raises(getattr(openai, kind)) as error:
        client.embeddings.create(**{"model": "tiny-embed", "input": "一", **options})
    assert message in error.value.body["message"]
    assert set(error.value.body) == {"message", "type", "param", "code"}


def test_a_wrong_key(client):
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").embeddings.create(model="tiny-embed", input="一")


def test_the_model_may_be_left_out():
    made, _ = application()
    with TestClient(made.api, base_url="http://localhost") as plain:
        body = json.dumps({"input": "一"})
        answer = plain.post("/v1/embeddings", content=body, headers={"Content-Type": "application/json"})
    assert len(answer.json()["data"][0]["embedding"]) == 8
