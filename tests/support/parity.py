"""Holds our reducer against Codex's own, on the same bundle."""

from pathlib import Path

from reducer import reduce_bundle
from tests.support.codex_cli import codex_reduces, require_codex

Json = dict[str, object]


def without_ours(value: object) -> object:
    """A state without what Codex's has not: every `proxy` key."""
    if isinstance(value, dict):
        return {key: without_ours(item) for key, item in value.items() if key != "proxy"}
    if isinstance(value, list):
        return [without_ours(item) for item in value]
    return value


def reduce_both(bundle: Path) -> tuple[Json, Json | str]:
    """Our state without our own keys, then Codex's, or why it refused the bundle."""
    theirs = codex_reduces(require_codex(), bundle, bundle / "codex_state.json")
    ours = without_ours(reduce_bundle(bundle))
    assert isinstance(ours, dict)
    ours.pop("diagnostics")
    return ours, theirs


def assert_parity(bundle: Path) -> Json:
    """Hold that both reducers say the same of a bundle that Codex's accepts; give that state."""
    ours, theirs = reduce_both(bundle)
    assert isinstance(theirs, dict), f"codex refused the bundle: {theirs}"
    assert ours == theirs
    return ours


def assert_refused_and_told(bundle: Path) -> Json:
    """Hold that Codex's reducer refuses a bundle and ours tells something of it; give our state."""
    _, theirs = reduce_both(bundle)
    assert isinstance(theirs, str), "codex accepted the bundle"
    ours = reduce_bundle(bundle)
    assert ours["diagnostics"]
    return ours
