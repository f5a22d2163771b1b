"""Serves the model of an environment's service.py over HTTP: main.py PORT SERVICE. Installed by role services; see docs/services.md.

GET  /health    whether it is ready, or what it waits for; needs no login, as nothing else
GET  /          what it is: name, limits, schemas (also /docs and /openapi.json)
POST /predict   one request, one answer; simultaneous ones are brought together into batches
GET  /metrics   for Prometheus
"""

import importlib.util
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

import uvicorn
from batches import Batches, FullError
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from guard import Application, Guard, Message, Receive, Send
from loading import Loading
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    exposition,
    platform_collector,
    process_collector,
)

LIMIT_BYTES = int(os.environ.get("API_LIMIT_BYTES") or 8_000_000)
MAX_WAIT = float(os.environ.get("API_MAX_WAIT") or 0.002)
QUEUE = int(os.environ.get("API_QUEUE") or 256)
STOP_SECONDS = 15
"""How long requests that are being answered may take when the service is stopped; systemd waits for 20 s."""

ADDRESS = "127.0.0.1"
REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
"""What the login in front of it answers by itself: nobody used the service."""

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Figures:
    """What /metrics shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        process_collector.ProcessCollector(registry=self.registry)
        platform_collector.PlatformCollector(registry=self.registry)
        of = {"registry": self.registry}
        self.answers = Counter("gpurig_api_answers_total", "Answers, by HTTP status", ["status"], **of)
        self.seconds = Histogram("gpurig_api_seconds", "From a request to its answer", **of)
        self.batch = Histogram("gpurig_api_batch_size", "Requests per batch", buckets=SIZES, **of)
        self.queue = Gauge("gpurig_api_waiting", "Requests that wait for a batch", **of)
        self.last = Gauge("gpurig_api_last_request_timestamp_seconds", "When something was asked last; 0: never", **of)


def application(service: ModuleType, loading: Loading, token: str) -> "Counted":
    """The whole application around a service.py, and its model."""
    figures = Figures()
    batches: Batches[Any, Any] = Batches(
        lambda asked: loading.model.predict(asked),  # noqa: PLW0108 (it is loaded later)
        most=service.MAX_BATCH,
        wait=MAX_WAIT,
        queue=QUEUE,
        seen=figures.batch.observe,
    )
    figures.queue.set_function(lambda: batches.waiting)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        batches.start()
        yield
        await batches.stop()

    app = FastAPI(title=service.NAME, lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "waiting", "reason": loading.reason} if loading.model is None else {"status": "ok"}

    @app.get("/")
    async def about() -> dict[str, Any]:
        limits = {"bytes": LIMIT_BYTES, "batch": service.MAX_BATCH, "queue": QUEUE, "wait_seconds": MAX_WAIT}
        schemas = {"request": service.Request.model_json_schema(), "response": service.Response.model_json_schema()}
        return {"name": service.NAME, "limits": limits, **schemas}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(exposition.generate_latest(figures.registry), media_type=exposition.CONTENT_TYPE_LATEST)

    @app.exception_handler(RequestValidationError)
    async def refused(_: Request, error: RequestValidationError) -> JSONResponse:
        """What is wrong and where, without the input: that may be long, and NaN, which JSON does not have."""
        problems = [{key: problem[key] for key in ("type", "loc", "msg")} for problem in error.errors()]
        return JSONResponse({"detail": problems}, 422)

    async def predict(asked: Any) -> Any:
        if loading.model is None:
            raise HTTPException(503, loading.reason, {"Retry-After": "30"})
        try:
            return await batches.ask(asked)
        except FullError as error:
            raise HTTPException(503, f"{QUEUE} requests wait already", {"Retry-After": "1"}) from error
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    predict.__annotations__ = {"asked": service.Request, "return": service.Response}
    app.post("/predict")(predict)

    return Counted(Guard(app, token, name="api", public={"/health"}, limit=LIMIT_BYTES), figures)


class Counted:
    """An ASGI application around another one, that takes down what comes of each prediction that was asked for."""

    def __init__(self, app: Application, figures: Figures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One connection, as ASGI has it."""
        if scope["type"] != "http" or scope["path"] != "/predict":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            if status not in REFUSED:
                self._figures.last.set_to_current_time()
            self._figures.seconds.observe(time.perf_counter() - started)
            self._figures.answers.labels(status).inc()


def load(path: Path) -> ModuleType:
    """A service.py as a module; what lies beside it can be imported by it."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location("service", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path}: this is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["service"] = module
    spec.loader.exec_module(module)
    missing = [name for name in ("NAME", "Request", "Response", "MAX_BATCH", "load") if not hasattr(module, name)]
    if missing:
        sys.exit(f"{path} lacks {', '.join(missing)}; docs/services.md describes what it has to have")
    return module


if __name__ == "__main__":
    secret = os.environ.pop("API_TOKEN")
    served = load(Path(sys.argv[2]))
    model = Loading(served)
    model.start()
    uvicorn.run(
        application(served, model, secret),
        host=ADDRESS,
        port=int(sys.argv[1]),
        access_log=False,  # it would hold the token of the browser's link
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        log_level="warning",
    )
