"""The command under `microduet bench` for models on several cards."""

from typing import Literal

from microduet.cli_bench_near import bench
from microduet.cli_options import Count, Natural
from microduet_sim.dram import Memory


@bench.command(name="cards")
def bench_cards(
    *,
    model: str = "microrec-large",
    cards: tuple[Count, ...] = (1, 2, 4, 8),
    items: Count = 512,
    precision: str = "fixed16",
    board: str = "u280",
    gbps: float = 100.0,
    latency_us: float = 1.0,
    traffic: str = "uniform",
    memory: Memory = "dram",
    seed: Natural = 0,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    json: bool = False,
) -> int:
    """A model's tables on several cards: items per second, what bounds them, the network's load, an item's latency.

    Every card is simulated in a process of its own; every result is compared with the golden model of the whole model.

    Example: microduet bench cards --model microrec-large --cards 1 --cards 4 --json

    Parameters
    ----------
    model
        as for run; one whose first layer reads the whole vector
    cards
        1 to 64, may be given several times; 1 is the ordinary engine
    items
        of the batch that items per second come from
    precision
        of the engines
    board
        of every card
    gbps
        of every card's port to the switch, both ways
    latency_us
        from card to card
    traffic
        of the ids, as for run
    memory
        what answers the cards' reads
    seed
        of the model and the ids
    engine
        processes of this machine, or actors of a Ray cluster
    address
        HOST:PORT of that cluster; one of this machine if not given
    json
        print one JSON object instead of a table
    """
    from microduet.cards import bench as implementation
    from microduet_sim.network import Network

    options = implementation.CardsBenchOptions(
        model=model,
        cards=cards,
        items=items,
        precision=precision,
        board=board,
        traffic=traffic,
        memory=memory,
        network=Network(gbps=gbps, latency_us=latency_us),
        seed=seed,
        engine=engine,
        address=address,
        json=json,
    )
    return implementation.main(options)


__all__ = ["bench"]
