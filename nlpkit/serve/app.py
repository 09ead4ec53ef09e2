"""The routes of a service.

POST /v1/TASK          {"text": "…"} or {"texts": ["…", …]}: the records that the command writes
POST /v1/embeddings    as OpenAI's
GET  /v1/models        as OpenAI's
POST /predict, /setup  of Label Studio
GET  /healthz          the process lives;  /readyz  the models are loaded and the queue has room
GET  /metrics          for Prometheus
GET  /                 a page to try the models
"""

import asyncio
import hmac
import logging
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from nlpkit.core.io.records import dumps
from nlpkit.errors import NlpkitError, UsageError
from nlpkit.serve import label_studio, openai
from nlpkit.serve.batcher import Batcher, DeadlineError, OverloadedError, StoppedError
from nlpkit.serve.limits import Limits
from nlpkit.serve.metrics import Metrics
from nlpkit.serve.page import PAGE_HEADERS, page_file
from nlpkit.serve.problems import RequestError, invalid
from nlpkit.serve.requests import JSON, options_of, read_json, texts_of
from nlpkit.serve.services import Key, Service
from nlpkit.version import __version__

log = logging.getLogger("nlpkit.serve")
_OPEN = ("/healthz", "/readyz", "/")  # without a key; so are the files of the page
_HOST = re.compile(r":\d+$")  # the port behind the name of the host
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


class Application:
    """A service: its models, their queue, and the routes in `api`.

    Args:
        services: by task.
        limits: of requests.
        api_key: that requests must have; None for none.
        translate: returns the Chinese of a message, for clients that prefer it (`Accept-Language: zh`).
        loopback: whether only the names of this machine are valid hosts, so that no page of another site can reach
            the service by a name that it points here.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        limits: Limits,
        api_key: str | None = None,
        translate: Callable[[str], str] = str,
        *,
        loopback: bool = True,
    ):
        self._translate = translate
        self._services, self._limits, self._api_key, self._loopback = dict(services), limits, api_key, loopback
        self._metrics = Metrics(lambda: self._batcher.waiting)
        self._batcher = Batcher(
            self._answer, max_batch=limits.batch_characters, max_queue=limits.max_queue, observer=self._metrics
        )
        self.api = FastAPI(title="nlpkit", version=__version__, docs_url=None, redoc_url=None, openapi_url=None,
                           lifespan=self._lifespan, redirect_slashes=False)  # fmt: skip
        self._add_routes()

    @asynccontextmanager
    async def _lifespan(self, api: FastAPI) -> AsyncIterator[None]:
        self._batcher.start()
        yield
        await asyncio.to_thread(self._batcher.stop)

    def _answer(self, key: Key, texts: Any) -> list[Any]:
        return self._services[key.task].answer(texts, dict(key.options))

    def _add_routes(self) -> None:
        post, get = self.api.post, self.api.get
        get("/healthz")(self._alive)
        get("/readyz")(self._ready)
        get("/metrics")(self._prometheus)
        get("/v1/models")(self._models)
        for task in self._services:
            post(f"/v1/{task}", name=task)(self._task_route(task))
        if "embed" in self._services:
            post("/v1/embeddings")(self._embeddings)
        if "ner" in self._services:
            post("/predict")(self._label_studio)
            post("/setup")(self._setup)
            get("/health")(self._label_studio_health)
        get("/")(self._page)
        get("/static/{name}")(self._static)
        self.api.exception_handler(HTTPException)(self._no_route)
        self.api.middleware("http")(self._handle)

    async def _handle(self, request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        """Check the host and the key, answer problems, and count and log the request."""
        start = time.monotonic()
        try:
            self._check(request)
            response = await call(request)
        except RequestError as problem:
            response = self._problem_response(request, problem)
            self._metrics.refuse(problem.code)
        except ClientDisconnect:
            response = Response(status_code=499)  # nobody reads it
        except Exception as error:
            # a message may have the text, except of a file that is damaged
            log.error("internal error: %s", error if isinstance(error, NlpkitError) else _place(error))
            fault = RequestError(500, "internal", "internal error; the log of the service has more")
            response = self._problem_response(request, fault)
        route = getattr(request.scope.get("route"), "path", "other")
        seconds = time.monotonic() - start
        self._metrics.request(route, response.status_code, seconds)
        fields = {"method": request.method, "route": route, "status": response.status_code}
        fields["milliseconds"] = round(1000 * seconds, 1)
        log.info("%s %s %d", request.method, route, response.status_code, extra={"fields": fields})
        return response

    async def _no_route(self, request: Request, error: Exception) -> Response:
        """Answer a request for a path or a method that there is not."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        routes = ", ".join(f"POST /v1/{task}" for task in self._services)
        message = f"the method {request.method} is not allowed here; there are: {routes}"
        if status == 404:
            message = f"there is no such path; there are: {routes}"
        return self._problem_response(request, RequestError(status, "not_found", message))

    def _problem_response(self, request: Request, problem: RequestError) -> Response:
        language = "zh" if request.headers.get("accept-language", "").strip().lower().startswith("zh") else "en"
        message = self._translate(problem.message) if language == "zh" else problem.message
        headers = {**problem.headers, "Content-Language": language}
        return Response(orjson.dumps(problem.body(message)), problem.status, headers, JSON)

    def _check(self, request: Request) -> None:
        """Raise RequestError for a host that is not this machine's, or without the key."""
        host = _HOST.sub("", request.headers.get("host", ""))
        if self._loopback and host not in _LOOPBACK:
            message = (
                f"the host {host[:100]!r} is not a name of this machine; start the service with --host to allow it"
            )
            raise RequestError(421, "host", message)
        path = request.scope["path"]  # request.url fails on some hosts
        if self._api_key is not None and path not in _OPEN and not path.startswith("/static/"):
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode("latin-1"), self._api_key.encode()):
                message = "the key is missing or wrong; send the header Authorization: Bearer KEY"
                raise RequestError(401, "invalid_api_key", message, headers={"WWW-Authenticate": "Bearer"})

    async def _submit(self, request: Request, key: Key, texts: list[str]) -> list[Any]:
        """Return the answers to the texts of a request whose body is read.

        Raises:
            ClientDisconnect: the client disconnected; texts that are not processed yet are dropped.
            RequestError: the queue is full (429), the deadline has passed (504), the service stops (503), or the texts
                cannot be answered (422).
            NlpkitError: a file of the graph or the index is damaged.
        """
        try:
            future = self._batcher.submit(key, texts, [len(text) for text in texts], self._limits.timeout)
            return await _while_connected(request, asyncio.wrap_future(future))
        except OverloadedError as error:
            after = str(math.ceil(error.retry_after))
            raise RequestError(429, "overloaded", str(error), headers={"Retry-After": after}) from None
        except DeadlineError as error:
            raise RequestError(504, "deadline", str(error)) from None
        except StoppedError as error:
            raise RequestError(503, "stopping", str(error), headers={"Retry-After": "5"}) from None
        except UsageError as error:
            raise invalid(str(error)) from None

    def _task_route(self, task: str) -> Callable[[Request], Awaitable[Response]]:
        service = self._services[task]

        async def route(request: Request) -> Response:
            body = await read_json(request, self._limits)
            name = "texts" if "texts" in body else "text"
            if {"text", "texts"} <= set(body):
                raise invalid("send either 'text' or 'texts'", "text")
            texts, _ = texts_of(body, name, self._limits)
            if (name == "texts") != isinstance(body.get(name), list):
                raise invalid(f"the field {name!r} must be {'a list of texts' if name == 'texts' else 'a text'}", name)
            options = options_of(body, service.options, (name,))
            records = await self._submit(request, Key(task, options), texts)
            return _json(records[0] if name == "text" else {"results": records})

        return route

    async def _embeddings(self, request: Request) -> Response:
        body = await read_json(request, self._limits)
        service = self._services["embed"]
        texts, in_base64, dimensions = openai.read_embedding_request(body, service.model, service.width, self._limits)
        records = await self._submit(request, Key("embed"), texts)
        vectors = [record["embedding"] for record in records]
        content = openai.embedding_response(
            vectors, service.model, sum(map(len, texts)), in_base64=in_base64, dimensions=dimensions
        )
        return Response(content, media_type=JSON)

    async def _models(self) -> Response:
        data = [
            {"id": service.model, "object": "model", "created": 0, "owned_by": "nlpkit", "task": task}
            | ({} if service.threshold is None else {"threshold": service.threshold})
            for task, service in self._services.items()
        ]
        return _json({"object": "list", "data": data})

    async def _label_studio(self, request: Request) -> Response:
        body = await read_json(request, self._limits)
        texts = label_studio.texts_of_tasks(body)
        texts_of({"tasks": texts}, "tasks", self._limits)
        records = await self._submit(request, Key("ner"), texts)
        return _json(label_studio.predictions(records, self._services["ner"].model))

    async def _setup(self, request: Request) -> Response:
        await read_json(request, self._limits)
        return _json({"model_version": self._services["ner"].model})

    async def _label_studio_health(self) -> Response:
        return _json({"status": "UP", "model_class": "nlpkit"})

    async def _alive(self) -> Response:
        return _json({"status": "ok"})

    async def _ready(self) -> Response:
        if self._batcher.waiting >= self._limits.max_queue:
            raise RequestError(503, "overloaded", "the queue is full")
        return _json({"status": "ok", "tasks": list(self._services)})

    async def _prometheus(self) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _page(self) -> Response:
        return self._file("index.html")

    async def _static(self, name: str) -> Response:
        return self._file(name)

    def _file(self, name: str) -> Response:
        found = page_file(name)
        if found is None:
            raise HTTPException(404)
        content, kind = found
        return Response(content, media_type=kind, headers=PAGE_HEADERS)


async def _while_connected(request: Request, answers: "asyncio.Future[list[Any]]") -> list[Any]:
    """Return the answers, or cancel them and raise ClientDisconnect if the client disconnects first."""
    disconnect = asyncio.ensure_future(request.receive())  # the only message after the body
    try:
        await asyncio.wait((answers, disconnect), return_when=asyncio.FIRST_COMPLETED)
        if not answers.done():
            raise ClientDisconnect
        return answers.result()
    finally:
        answers.cancel()
        disconnect.cancel()


def _place(error: Exception) -> str:
    """Return the class of an error, and the line that raised it."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    where = f" at {step.tb_frame.f_code.co_filename}:{step.tb_lineno}" if step is not None else ""
    return f"{type(error).__name__}{where}"


def _json(value: Any) -> Response:
    return Response(dumps(value), media_type=JSON)
