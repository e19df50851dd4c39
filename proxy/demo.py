"""A traced session to look at: scripted upstream, the proxy, and the real openai SDK as client."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .demo_upstream import Answer, scripted_upstream
from .own_bundles import OwnBundles
from .serve import running_proxy
from .settings import Settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MODEL = "gpt-5.2"

DELTAS_READ = 9
"""Of the answer that the client leaves: what it reads, and all that upstream then sends."""

SCRIPT = (
    Answer(text="A tailrace carries the water away from a mill wheel or turbine."),
    Answer(text="The headrace brings the water in; the tailrace takes it away."),
    Answer(text="Water leaves by the tailrace."),
    Answer(text="", rate_limited=True),
    Answer(text="Yes: one that is too shallow drowns the wheel and costs power."),
    Answer(
        text="Once upon a time a miller watched the water leave his wheel, and wondered where to.",
        falls_silent_after=DELTAS_READ,
    ),
)

Tell = Callable[[str], None]


class DemoError(Exception):
    """The demo cannot run here, for a reason that `str` gives."""


def run_demo(trace_dir: Path, tell: Tell) -> Sequence[Path]:
    """Make the demo's calls, tell what the client sees of each, and return the bundles they left.

    Raises DemoError and CannotServeError.
    """
    try:
        import openai  # noqa: F401 (an extra: nothing else of the proxy needs it)
    except ImportError:
        reason = "the demo needs the openai SDK: pip install 'tailrace[demo]'"
        raise DemoError(reason) from None
    bundles = OwnBundles(trace_dir)
    asyncio.run(_session(trace_dir, tell))
    return bundles.found()


async def _session(trace_dir: Path, tell: Tell) -> None:
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    async with scripted_upstream(iter(SCRIPT)) as upstream:
        settings = Settings(listen="127.0.0.1:0", upstream=upstream, trace_dir=trace_dir)
        async with (
            running_proxy(settings) as proxy,
            # No proxy of the environment: nothing of the demo leaves this machine.
            DefaultAsyncHttpxClient(trust_env=False) as http_client,
            AsyncOpenAI(
                base_url=proxy.base_url, api_key="sk-demo", http_client=http_client
            ) as client,
        ):
            await _make_calls(client, tell)


async def _make_calls(client: "AsyncOpenAI", tell: Tell) -> None:
    tell("What the client saw:\n")
    first_id, text = await _streamed(client, "What is a tailrace?", None)
    tell(f"streamed      {text}")
    _, text = await _streamed(client, "And a headrace?", first_id)
    tell(f"chained       {text}")
    response = await client.responses.create(model=MODEL, input="Say it in five words.")
    tell(f"not streamed  {response.output_text}")
    response = await client.responses.create(model=MODEL, input="Does its depth matter?")
    tell(f"429, retried  {response.output_text}")
    text = await _dropped(client, "Tell me a story about it.")
    tell(f"dropped       {text}")


async def _streamed(
    client: "AsyncOpenAI", question: str, previous_response_id: str | None
) -> tuple[str, str]:
    """A streamed call's response id and text."""
    async with client.responses.stream(
        model=MODEL, input=question, previous_response_id=previous_response_id
    ) as stream:
        response = await stream.get_final_response()
    return response.id, response.output_text


async def _dropped(client: "AsyncOpenAI", question: str) -> str:
    """What a call had said when its client left."""
    text: list[str] = []
    stream = await client.responses.create(model=MODEL, input=question, stream=True)
    async with stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                text.append(event.delta)
            if len(text) == DELTAS_READ:
                break
    return "".join(text)
