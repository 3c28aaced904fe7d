"""`GET /api/checkpoint`: the newest note, for whoever keeps it elsewhere."""

from release_ledger.proof import make_checkpoint, parse

from .client import EnvironmentClient, Service, refused


def test_the_newest_checkpoint_is_answered_to_the_letter(service: Service, production: EnvironmentClient) -> None:
    """As text, byte by byte, with a read token."""
    reader = service.client("read")
    make_checkpoint(service.ledger.store, None)
    production.deploy("A-rc1")
    made = make_checkpoint(service.ledger.store, None)

    answer = reader.get("/api/checkpoint")

    assert made is not None
    assert (answer.status_code, answer.content_type) == (200, "text/plain; charset=utf-8")
    assert answer.text == made.checkpoint.note
    assert parse(answer.text) == made.checkpoint


def test_without_a_checkpoint_there_is_none_to_answer(service: Service) -> None:
    """404 in the shape of all errors; and 401 without a token."""
    refused(service.client("read").get("/api/checkpoint"), 404, "not_found")
    refused(service.stranger().get("/api/checkpoint"), 401, "unauthorized")
