"""Holds our reducer against Codex's own, on the same bundle."""

from collections.abc import Iterator
from pathlib import Path

from reducer import reduce_bundle
from tests.support.codex_cli import codex_reduces, require_codex

Json = dict[str, object]

DIFFERENCES_SHOWN_MAX = 5


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


def differences(ours: object, theirs: object, path: str = "") -> Iterator[str]:
    """Where two states differ, the smallest parts of them: path, our value and Codex's."""
    match ours, theirs:
        case dict(), dict():
            for key in sorted({*ours, *theirs}):
                if key in ours and key in theirs:
                    yield from differences(ours[key], theirs[key], f"{path}/{key}")
                elif key in ours:
                    yield f"{path}/{key}: only ours: {ours[key]!r}"
                else:
                    yield f"{path}/{key}: only Codex's: {theirs[key]!r}"
        case list(), list() if len(ours) == len(theirs):
            for position, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                yield from differences(one, other, f"{path}/{position}")
        case _ if ours != theirs or type(ours) is not type(theirs):
            yield f"{path}: ours {ours!r}, Codex's {theirs!r}"


def assert_same(ours: object, theirs: object) -> None:
    """Hold that two states are equal; name where they differ."""
    found = list(differences(ours, theirs))
    shown = "\n".join(found[:DIFFERENCES_SHOWN_MAX])
    assert not found, f"{len(found)} differences:\n{shown}"


def assert_parity(bundle: Path) -> Json:
    """Hold that both reducers say the same of a bundle that Codex's accepts; give that state."""
    ours, theirs = reduce_both(bundle)
    assert isinstance(theirs, dict), f"codex refused the bundle: {theirs}"
    assert_same(ours, theirs)
    return ours


def assert_refused_and_told(bundle: Path) -> Json:
    """Hold that Codex's reducer refuses a bundle and ours tells something of it; give our state."""
    _, theirs = reduce_both(bundle)
    assert isinstance(theirs, str), "codex accepted the bundle"
    ours = reduce_bundle(bundle)
    assert ours["diagnostics"]
    return ours
