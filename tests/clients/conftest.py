"""The openai SDK as its users have it, but for its base URL."""

from collections.abc import Iterator

import openai
import pytest

from tests.support.running_proxy import RunningProxy

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[openai.OpenAI]:
    """The SDK as users have it, but for its base URL."""
    with openai.OpenAI(base_url=proxy.base_url, api_key=KEY) as client:
        yield client
