"""Metrics for Prometheus."""

from prometheus_client.parser import text_string_to_metric_families

from nlpkit.serve.metrics import Metrics
from nlpkit.serve.services import Key


def samples(metrics):
    """Values by name and labels."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_requests_and_batches_are_counted():
    waiting = [7]
    metrics = Metrics(lambda: waiting[0])
    for seconds in (0.002, 0.3):
        metrics.request("/v1/ner", 200, seconds)
    metrics.request("/v1/ner", 429, 0.0)
    metrics.refuse("overloaded")
    metrics.batch(Key("ner", (("threshold", 0.5),)), 3, 120, 0.01)
    found = samples(metrics)
    assert found["nlpkit_requests_total", "/v1/ner", "200"] == 2
    assert found["nlpkit_requests_total", "/v1/ner", "429"] == 1
    assert found["nlpkit_request_seconds_bucket", "/v1/ner", "0.0025"] == 2
    assert found["nlpkit_request_seconds_count", "/v1/ner"] == 3
    assert found["nlpkit_refused_total", "overloaded"] == 1
    assert found["nlpkit_batch_texts_sum", "ner"] == 3
    assert found["nlpkit_batch_characters_sum", "ner"] == 120
    assert found[("nlpkit_queue_characters",)] == 7
    waiting[0] = 0
    assert samples(metrics)[("nlpkit_queue_characters",)] == 0


def test_two_services_have_their_own():
    first, second = Metrics(lambda: 0), Metrics(lambda: 0)
    first.refuse("invalid")
    assert ("nlpkit_refused_total", "invalid") not in samples(second)
