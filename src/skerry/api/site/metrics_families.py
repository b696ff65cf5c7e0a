"""Metrics of one value."""

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric


def gauge(name: str, what: str, value: float) -> Metric:
    """What goes up and down."""
    return GaugeMetricFamily(name, what, value)


def counter(name: str, what: str, value: float) -> Metric:
    """What only grows until the next start."""
    return CounterMetricFamily(name, what, value)
