"""MicroRec's large model on several cards, and a model that no card holds."""

import json

import pytest

from tests.sw.command_line import run

pytestmark = pytest.mark.nightly


@pytest.mark.parametrize("cards", [2, 4, 8])
def test_cards_scale(capsys: pytest.CaptureFixture[str], cards: int) -> None:
    assert run("bench", "cards", "--cards", 1, "--cards", cards, "--json") == 0
    one, several = json.loads(capsys.readouterr().out)["rows"]
    assert one["mismatches"] == several["mismatches"] == 0
    assert several["speed_up"] >= 3.5 / 4 * cards


def test_a_model_that_no_card_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", "cards", "--model", "microrec-huge", "--cards", 1, "--cards", 4, "--json") == 0
    one, several = json.loads(capsys.readouterr().out)["rows"]
    assert one["limit"] == "memory"
    assert several["mismatches"] == 0
