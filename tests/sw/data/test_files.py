"""Blocks of whole lines."""

from pathlib import Path

import pytest

from microduet.data.files import block_count, read_block, room_block


@pytest.mark.parametrize("size", [1, 7, 30, 1000])
def test_blocks_in_kept_room_are_the_same_and_end_in_a_byte_of_0(tmp_path: Path, size: int) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{'x' * (number * 7 % 90)}\n" for number in range(40)) + "no end")
    blocks = []
    for number in range(block_count(path, size)):
        found = room_block(path, number, size)
        assert found.base is not None
        assert found.base[len(found)] == 0
        blocks.append(found.tobytes())
    assert blocks == [read_block(path, number, size) for number in range(len(blocks))]
    assert b"".join(blocks) == path.read_bytes()
