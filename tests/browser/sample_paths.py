"""Where the page shows a call of the sample traces, found in the bundles with nothing of ours."""

import json
from pathlib import Path

from tests.support.raw_bundle import TERMINALS, lines
from tests.support.sample_answers import id_of


class SamplePaths:
    """Paths of calls by the names of their answers."""

    def __init__(self, trace_dir: Path) -> None:
        self._keys: dict[str, str] = {}
        for bundle in sorted(trace_dir.glob("trace-*")):
            trace_id = json.loads((bundle / "manifest.json").read_bytes())["trace_id"]
            for line in lines(bundle):
                event = line["payload"]
                if event["type"] in TERMINALS:
                    about = event.get("proxy", {})
                    key = f"{trace_id}/{event['inference_call_id']}"
                    self._keys[str(event.get("response_id") or about.get("response_id"))] = key
                    self._keys[str(event["upstream_request_id"])] = key

    def key(self, name: str) -> str:
        """A call's trace and id, as they stand in URLs."""
        return self._keys[id_of("resp", name)]

    def call(self, name: str) -> str:
        """The page of a call."""
        return f"/call/{self.key(name)}"

    def failed(self, upstream_request_id: str) -> str:
        """The page of a call that got no response, by its upstream request."""
        return f"/call/{self._keys[upstream_request_id]}"

    def thread(self, name: str) -> str:
        """The page of the conversation that a call is in."""
        return f"/thread/{self.key(name)}"

    def comparison(self, before: str, after: str) -> str:
        """The page that compares two calls."""
        return f"/diff?a={self.key(before)}&b={self.key(after)}"
