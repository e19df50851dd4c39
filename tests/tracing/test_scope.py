"""What is traced of a request, by its method and path."""

import pytest

from tracing.scope import Scope, scope_of


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/responses", Scope.CALL),
        ("POST", "/responses", Scope.CALL),
        ("POST", "/responses/", Scope.CALL),
        ("POST", "/backend-api/codex/responses", Scope.CALL),
        ("POST", "/v1/responses/compact", Scope.COMPACTION),
        ("GET", "/v1/responses", Scope.NOTHING),
        ("GET", "/v1/responses/resp_1", Scope.EXCHANGE),
        ("DELETE", "/v1/responses/resp_1", Scope.EXCHANGE),
        ("POST", "/v1/responses/resp_1/cancel", Scope.EXCHANGE),
        ("GET", "/v1/responses/resp_1/input_items", Scope.EXCHANGE),
        ("POST", "/v1/responses/input_tokens", Scope.EXCHANGE),
        ("POST", "/v1/conversations", Scope.EXCHANGE),
        ("GET", "/v1/conversations/conv_1", Scope.EXCHANGE),
        ("POST", "/v1/conversations/conv_1/items", Scope.EXCHANGE),
        ("DELETE", "/v1/conversations/conv_1/items/msg_1", Scope.EXCHANGE),
        ("POST", "/v1/responses/resp_1/unheard_of", Scope.NOTHING),
        ("POST", "/v1/chat/completions", Scope.NOTHING),
        ("POST", "/v1/responsesque", Scope.NOTHING),
        ("GET", "/v1/models", Scope.NOTHING),
        ("GET", "/", Scope.NOTHING),
    ],
)
def test_scope(method: str, path: str, scope: Scope) -> None:
    """Only the method and the end of the path count."""
    assert scope_of(method, path) is scope
