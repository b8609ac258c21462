"""`microduet.open`: whatever kind of bundle, on whatever answers it."""

import typing
from pathlib import Path

from microduet.backend import Kind
from microduet.bundle import Bundle
from microduet.device import Device
from microduet.errors import InputError

if typing.TYPE_CHECKING:
    from microduet.cards.bundle import CardsBundle
    from microduet.cards.device import CardsDevice
    from microduet.edge.bundle import EdgeBundle
    from microduet.edge.device import EdgeDevice


@typing.overload
def open(bundle: "CardsBundle", **options: typing.Any) -> "CardsDevice": ...
@typing.overload
def open(bundle: "EdgeBundle", **options: typing.Any) -> "EdgeDevice": ...
@typing.overload
def open(bundle: Bundle, *, backend: Kind = "simulator", **options: typing.Any) -> Device: ...
@typing.overload
def open(bundle: Path | str, *, backend: Kind = "simulator", **options: typing.Any) -> "Device | EdgeDevice": ...
def open(
    bundle: "Bundle | CardsBundle | EdgeBundle | Path | str",
    *,
    backend: Kind = "simulator",
    **options: typing.Any,
) -> "Device | CardsDevice | EdgeDevice":
    """Open a bundle: builds its simulator, or takes it from the cache, or opens a card, and loads the weights.

    Parameters
    ----------
    bundle, options : as `Device` takes them, or `EdgeDevice` if the bundle is an edge unit's, `CardsDevice` if it is
        for several cards; an engine that ranks for users is a `QueryDevice`
    backend : "xrt": an engine on a card of Vitis; options are then those of `XrtDevice`, `xclbin` and others
    """
    from microduet.cards.bundle import CardsBundle
    from microduet.cards.device import CardsDevice
    from microduet.edge.bundle import EdgeBundle, is_edge_bundle
    from microduet.edge.device import EdgeDevice
    from microduet.queries.device import QueryDevice

    if backend != "simulator":
        return _on_card(bundle, backend, options)
    if isinstance(bundle, CardsBundle):
        return CardsDevice(bundle, **options)
    if isinstance(bundle, EdgeBundle) or (not isinstance(bundle, Bundle) and is_edge_bundle(bundle)):
        return EdgeDevice(bundle, **options)
    read = bundle if isinstance(bundle, Bundle) else Bundle.read(bundle)
    return (QueryDevice if read.config.user else Device)(read, **options)


def _on_card(bundle: object, backend: str, options: dict[str, typing.Any]) -> Device:
    from microduet.edge.bundle import is_edge_bundle
    from microduet.vitis.device import XrtDevice

    if backend != "xrt":
        raise InputError(f"backend must be 'simulator' or 'xrt', not {backend!r}")
    if not isinstance(bundle, (Bundle, Path, str)) or (not isinstance(bundle, Bundle) and is_edge_bundle(bundle)):
        raise InputError("backend 'xrt' takes the bundle of one engine; edge units and several cards are simulated")
    if "xclbin" not in options:
        raise InputError("backend 'xrt' needs xclbin, the path of the card's binary")
    return XrtDevice(bundle, **options)
