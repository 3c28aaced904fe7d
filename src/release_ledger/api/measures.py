"""What is measured of requests. With several worker processes, `serve` names a directory that they share."""

from __future__ import annotations

import os
import time

from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from . import read_models
from .waiting import waits

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
REQUESTS = Counter("release_ledger_requests", "Requests answered.", ("method", "endpoint", "status"))
SECONDS = Histogram("release_ledger_request_seconds", "Time to answer, in seconds.", ("method", "endpoint"))


def register(app: Flask) -> None:
    """Measure every request of an application."""
    app.before_request(_start)
    app.after_request(_stop)


def exposition() -> Response:
    """All measures, as Prometheus reads them."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # it has no types
    # What is the same for all processes is not counted in each, but asked when it is read.
    shared = CollectorRegistry()
    shared.register(read_models.Measures())
    return Response(generate_latest(registry) + generate_latest(shared), content_type=CONTENT_TYPE_LATEST)


def _start() -> None:
    g.started_s = time.perf_counter()


def _stop(response: Response) -> Response:
    if waits():
        return response
    endpoint = request.endpoint or "none"
    # Whatever a stranger sends as a method is one label, or the measures would grow with every new word.
    method = request.method if request.method in METHODS else "other"
    REQUESTS.labels(method, endpoint, str(response.status_code)).inc()
    started_s = g.get("started_s")
    if started_s is not None:
        SECONDS.labels(method, endpoint).observe(time.perf_counter() - started_s)
    return response
