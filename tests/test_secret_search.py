"""The search for secrets finds one in whatever form it was left."""

import base64
import gzip
import json
import zlib
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.support.secret_search import assert_nowhere, files_in

SECRET = 'sk-0123456789+/"abc=='
RAW = SECRET.encode()
HIDDEN = {
    "as it is": RAW,
    "in a log line": b'{"reason": "no ' + RAW + b'"}',
    "escaped for JSON": json.dumps(SECRET).encode(),
    "escaped for JSON twice": json.dumps(json.dumps({"a": SECRET})).encode(),
    "slashes escaped for JSON": json.dumps(SECRET).replace("/", "\\/").encode(),
    "in a path": quote(SECRET).encode(),
    "in a query": quote(SECRET, safe="").encode(),
    "in a form": quote_plus(SECRET).encode(),
    "every byte escaped for a URL": "".join(f"%{byte:02X}" for byte in RAW).encode(),
    "in hex": RAW.hex().encode(),
    "in base64": base64.b64encode(b"{" + RAW),
    "in base64 for URLs": base64.urlsafe_b64encode(b"??>" + RAW).rstrip(b"="),
    "as Basic": b"Basic " + base64.b64encode(b"user:" + RAW),
    "in base64 twice": base64.b64encode(base64.b64encode(b"xyz" + RAW)),
    "in gzip": gzip.compress(RAW),
    "in gzip that is cut short": gzip.compress(RAW + bytes(10))[:-4],
    "in gzip in base64": b'{"body": "' + base64.b64encode(gzip.compress(RAW)) + b'"}',
    "in deflate": zlib.compress(RAW),
    "in UTF-16": SECRET.encode("utf-16-le"),
}


@pytest.mark.parametrize("form", HIDDEN)
def test_planted_secret_is_found(tmp_path: Path, form: str) -> None:
    """In a file somewhere below, with other bytes around it."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "1.json").write_bytes(
        HIDDEN[form] if "gzip" in form or "deflate" in form else b"\x00 x:" + HIDDEN[form] + b" y"
    )
    with pytest.raises(AssertionError, match=r"1\.json"):
        assert_nowhere(["another", SECRET], files_in(tmp_path))


def test_secret_in_the_name_of_a_file_is_found(tmp_path: Path) -> None:
    """A header may have become one."""
    (tmp_path / f"trace-{quote(SECRET, safe='')}").mkdir()
    with pytest.raises(AssertionError, match="names in"):
        assert_nowhere([SECRET], files_in(tmp_path))


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    """Neither in what resembles it nor in base64 and compressed data of anything else."""
    (tmp_path / "1.json").write_bytes(gzip.compress(b"sk-0123456788") + base64.b64encode(RAW[:-6]))
    assert_nowhere([SECRET], files_in(tmp_path))
