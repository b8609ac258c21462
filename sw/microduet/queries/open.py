"""``md.query``: one user's device, a link and an engine, opened together."""

import typing
from pathlib import Path

from microduet.bundle import Bundle
from microduet.edge.bundle import EdgeBundle
from microduet.edge.device import EdgeDevice
from microduet.errors import InputError
from microduet.queries.device import QueryDevice
from microduet.queries.histories import Histories
from microduet.queries.session import Session
from microduet_sim.closing import Closing
from microduet_sim.dram import Memory
from microduet_sim.link import Link


class OwnSession(Closing, Session):
    """A session whose engine and unit are its own: closing it ends both simulations."""

    def close(self) -> None:
        """End both simulations; closing twice is allowed."""
        self.edge.close()
        self.engine.close()


def query(
    edge: EdgeBundle | Path | str,
    engine: Bundle | Path | str,
    link: Link | None = None,
    *,
    histories: Histories | None = None,
    memory: Memory = "dram",
    **options: typing.Any,
) -> OwnSession:
    """Open an edge unit and an engine as one system.

    Parameters
    ----------
    edge : bundle of the user's part, from `compile_edge`
    engine : bundle of the item's part of the same model, from `compile`
    link : between them; by default Duet's, 24 Mb/s up without delay
    histories : where embeddings of clicked items come from; without it clicks bring their own
    memory, options : as `Device` takes them

    Raises
    ------
    InputError
        If the engine takes no user vectors, or others than the unit sends.
    BundleError
        If a bundle is damaged.
    """
    bundle = engine if isinstance(engine, Bundle) else Bundle.read(engine)
    if bundle.config.user is None:
        raise InputError(f"{bundle.config.name} ranks without users; compile the item's part of a split model")
    device = QueryDevice(bundle, memory=memory, **options)
    try:
        unit = EdgeDevice(edge, memory=memory)
    except BaseException:
        device.close()
        raise
    try:
        return OwnSession(device, unit, link or Link(), histories=histories)
    except BaseException:
        unit.close()
        device.close()
        raise
