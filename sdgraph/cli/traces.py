"""Sends traces where the settings say."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sdgraph.errors import SettingsError
from sdgraph.server.traces import Traces
from sdgraph.version import VERSION


@contextmanager
def sending_traces(endpoint: str) -> Generator[Traces]:
    """Spans go to an OTLP collector in batches, on a thread of their own; the last ones at the end.

    Raises SettingsError [traces-missing] without `sdgraph[otel]`.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        message = f"SDGRAPH_TRACES is set, and OpenTelemetry is not installed: {error}."
        raise SettingsError("traces-missing", message, "Run `pip install sdgraph[otel]`.") from None
    resource = Resource.create({"service.name": "sdgraph", "service.version": VERSION})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    try:
        yield Traces(provider.get_tracer("sdgraph", VERSION))
    finally:
        provider.shutdown()
