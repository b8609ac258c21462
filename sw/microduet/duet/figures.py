"""What a split costs and saves: products, lookups, payload and memory, from widths alone."""

import dataclasses

from microduet.duet.exact import BITS, lossless_bytes
from microduet.duet.shape import DlrmShape
from microduet.duet.split import Parts, Split, macs, parts, split_shape
from microduet.errors import InputError

UPLOAD_MBPS = 24.0
"""Upload speed of a phone (Duet, section 3)."""

EXACT_BYTES = BITS // 8
"""Bytes of a sum that `exact` sends."""

ELEMENT_BYTES = 4
"""Of an element of the scratchpad (Duet's Table 4)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """Figures of one split; `before` is the uncut model, `after` what is left to do per candidate.

    Members
    -------
    macs_before, macs_after : products per candidate, all layers
    hidden_macs_before, hidden_macs_after : the same without the last layer, as MicroRec's paper counts
    user_macs : products per query on the device, the static bottom MLP's included
    lookups_before, lookups_after : rows read per candidate
    payload_bytes : of the user vector, its header not counted; payload_us its upload, no round trip
    lossless_bytes : the same with every bit of a fixed16 engine's sums
    top_weight_bytes : of the user's top MLP: int8 in duet, fixed16 in exact
    bottom_weight_bytes : of the user's bottom MLPs in fixed16
    scratchpad_bytes : of the histories, 32-bit elements
    """

    model: str
    split: str
    parts: Parts
    macs_before: int
    macs_after: int
    hidden_macs_before: int
    hidden_macs_after: int
    user_macs: int
    lookups_before: int
    lookups_after: int
    payload_bytes: int
    payload_us: float
    lossless_bytes: int
    top_weight_bytes: int
    bottom_weight_bytes: int
    scratchpad_bytes: int


def upload_us(count: int, mbps: float = UPLOAD_MBPS) -> float:
    """Microseconds that `count` bytes take at `mbps` Mb/s; raises InputError for a speed that is not above 0."""
    if not mbps > 0:
        raise InputError(f"the link's speed must be above 0 Mb/s, not {mbps}")
    return count * 8 / mbps


def figures(shape: DlrmShape, split: Split, *, mbps: float = UPLOAD_MBPS) -> Figures:
    """Figures of `shape` cut by `split`, with an upload of `mbps` Mb/s."""
    found = parts(shape, split)
    own = split_shape(shape, split)
    whole = (shape.top_inputs, *shape.top)
    before = macs(shape.bottom) + macs(whole)
    after = macs(found.item_top) + macs(found.combined)
    bottoms = (found.static, found.dynamic, found.bottom)
    exact = split.kind == "exact"
    payload = split.user_top[-1] * (EXACT_BYTES if exact else 1)
    return Figures(
        model=shape.name,
        split=split.kind,
        parts=found,
        macs_before=before,
        macs_after=after,
        hidden_macs_before=before - macs(whole[-2:]),
        hidden_macs_after=after - macs(whole[-2:]),
        user_macs=sum(macs(widths) for widths in (*bottoms, found.user_top)),
        lookups_before=shape.lookups,
        lookups_after=sum(shape.features[k].lookups for k in shape.item_features),
        payload_bytes=payload,
        payload_us=upload_us(payload, mbps),
        lossless_bytes=lossless_bytes(payload // EXACT_BYTES, found.user_top[0]) if exact else payload,
        top_weight_bytes=macs(found.user_top) * (2 if exact else 1),
        bottom_weight_bytes=2 * sum(macs(widths) for widths in bottoms),
        scratchpad_bytes=ELEMENT_BYTES * sum(own.features[k].lookups * own.dim(k) for k in own.user.features),
    )
