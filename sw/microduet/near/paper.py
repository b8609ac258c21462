"""What the Duet paper prints of near-memory processing (DAC 2024, section 7.6 and Figure 13), shown beside ours."""

MS: dict[tuple[str, str, str], float] = {
    ("rm2", "whole", "recnmp"): 40.2, ("rm2", "whole", "trim"): 13.3,
    ("rm3", "whole", "recnmp"): 11.3, ("rm3", "whole", "trim"): 10.4,
    ("rm4", "whole", "recnmp"): 9.6, ("rm4", "whole", "trim"): 8.9,
    ("rm2", "duet", "recnmp"): 10.1, ("rm2", "duet", "trim"): 3.2,
    ("rm3", "duet", "recnmp"): 1.4, ("rm3", "duet", "trim"): 1.1,
    ("rm4", "duet", "recnmp"): 3.5, ("rm4", "duet", "trim"): 3.3,
}  # fmt: skip
"""Milliseconds of a query of 1,024 candidates by model, what the datacentre computes, and memory."""

CANDIDATES = 1024
MODELS = ("rm2", "rm3", "rm4")
"""Of Figure 13."""


def milliseconds(model: str, part: str, mode: str, n: int) -> float | None:
    """The paper's time, if it has one for queries of this size."""
    return MS.get((model, part, mode)) if n == CANDIDATES else None
