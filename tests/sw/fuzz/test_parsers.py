"""Damaged files: every parser refuses them with a documented error, soon, and takes no memory for what they claim."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microduet.duet.exact import ExactPayload
from microduet.errors import MicroduetError, ModelError
from microduet_sim.errors import SimulatorError
from tests.support.damage import damaged, refused_at_worst
from tests.sw.fuzz.parsers import PARSERS, Parser

QUICK, MANY = 40, 3000
"""Cases of every parser in CI, the same ones each time, and by night; a tenth of them of logs, which take longer."""
PARAMETERS = pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICRODUET_CACHE", str(tmp_path_factory.mktemp("cache")))


def read(parser: Parser, data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="microduet-fuzz-") as folder:
        path = Path(folder) / parser.name
        path.write_bytes(data)
        parser.read(path)


def fuzz(parser: Parser, cases: int, *, repeat: bool) -> None:
    example = parser.example()
    read(parser, example)

    @settings(max_examples=cases, deadline=None, derandomize=repeat, suppress_health_check=list(HealthCheck))
    @given(data=damaged(example, json_too=parser.is_json))
    def parses_or_refuses(data: bytes) -> None:
        with refused_at_worst():
            read(parser, data)

    parses_or_refuses()


@PARAMETERS
def test_a_damaged_file_is_parsed_or_refused(parser: Parser) -> None:
    fuzz(parser, QUICK // parser.cost, repeat=True)


@pytest.mark.nightly
@PARAMETERS
def test_many_damaged_files(parser: Parser) -> None:
    fuzz(parser, MANY // parser.cost, repeat=False)


HOPELESS = {
    "nothing": b"",
    "no text": b"\xee\xff\xfe" * 9,
    "zeros": bytes(5000),
    "lists in lists": b"[" * 100_000,
    "tables in tables": b"a = " + b"{a=" * 20_000,
    "a long number": b"a = " + b"1" * 5000,
    "a cut gzip": b"\x1f\x8b\x08\x00" + bytes(20),
}


@PARAMETERS
@pytest.mark.parametrize("kind", HOPELESS)
def test_what_no_parser_takes_is_refused(parser: Parser, kind: str) -> None:
    with pytest.raises((MicroduetError, SimulatorError)) as refused:
        read(parser, HOPELESS[kind])
    assert parser.name in str(refused.value) or parser.cost > 1, "the file is named"


@given(data=st.binary(max_size=200))
def test_a_payload_of_any_bytes_is_decoded_or_refused(data: bytes) -> None:
    payload = ExactPayload(sums=8, bits=24, shift=0)
    if len(data) != payload.size:
        with pytest.raises(ModelError, match=f"has {payload.size} bytes, not {len(data)}"):
            payload.decode(data)
    else:
        assert np.abs(payload.decode(data)).max() <= 1 << 23
