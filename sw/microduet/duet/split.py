"""How a model is cut into a user's part, an item's part and a combined part; plain data and counts."""

import fractions
import itertools
import math
import typing

from microduet.duet.shape import DlrmShape
from microduet.errors import ModelError
from microduet_hw.config import Frozen

USER_SHARE = fractions.Fraction(3, 4)
"""Share of tables and of split layers' widths that are the user's (Duet, section 6)."""

SplitName = typing.Literal["none", "duet", "exact"]


class Split(Frozen, frozen=True, kw_only=True):
    """One way to cut a model.

    ``duet`` (Duet, sections 4 and 6; it is trained anew): the bottom MLP becomes a static and a dynamic one side by
    side, the first layers of the top MLP a user's and an item's part that do not see each other, so that their joint
    weights are block-diagonal; the layers behind read both parts, the user's first.

    ``exact`` (no training): only the first layer of the top MLP is cut, by columns, W = [W_user W_item]. The user's
    part is its bias and all columns of the user's features and of the bottom MLP, which stays whole and is the user's,
    because every dense input is. The sum of both parts is the uncut layer's, before its ReLU.

    Parameters
    ----------
    static, dynamic : input width and outputs of the two bottom MLPs; () for a model without; exact: both ()
    user_top : outputs of the user's part of every split top layer; exact: the first layer's width, which is not divided
    slots : entries per user feature that the device keeps; () for the features' own lookups
    """

    kind: typing.Literal["duet", "exact"]
    static: tuple[int, ...] = ()
    dynamic: tuple[int, ...] = ()
    user_top: tuple[int, ...]
    slots: tuple[int, ...] = ()


def duet_split(
    shape: DlrmShape, *, layers: int = 2, share: fractions.Fraction = USER_SHARE, slots: tuple[int, ...] = ()
) -> Split:
    """Duet's split: `share` of every one of the first `layers` top layers is the user's, rounded down.

    Bottom layers are divided as the dense input is: by its static columns, rounded down.

    Raises
    ------
    ModelError
        If a part would be empty, or no layer is left to combine both.
    """
    if not 1 <= layers < len(shape.top):
        raise ModelError(f"{shape.name}: 1 to {len(shape.top) - 1} top layers can be split, not {layers}")
    ratio = fractions.Fraction(len(shape.user.static), shape.dense) if shape.dense else fractions.Fraction(0)
    static = tuple(math.floor(width * ratio) for width in shape.bottom) if shape.user.static else ()
    if shape.user.static and shape.user.context:
        dynamic = tuple(width - own for width, own in zip(shape.bottom, static, strict=True))
    else:
        dynamic = shape.bottom if shape.user.context else ()
    split = Split(
        kind="duet",
        static=static,
        dynamic=dynamic,
        user_top=tuple(math.floor(width * share) for width in shape.top[:layers]),
        slots=slots,
    )
    check_split(shape, split)
    return split


def exact_split(shape: DlrmShape) -> Split:
    """The lossless cut of the first top layer; raises ModelError if one side is empty or it is the only layer."""
    split = Split(kind="exact", user_top=shape.top[:1])
    check_split(shape, split)
    return split


def check_split(shape: DlrmShape, split: Split) -> None:
    """Raise ModelError, with the model's name, if `split` does not fit `shape`."""
    if not shape.user.features or not shape.item_features:
        raise ModelError(f"{shape.name}: a split needs features of the user and of the item")
    if len(split.user_top) >= len(shape.top):
        raise ModelError(f"{shape.name}: a top layer must be left that combines both parts")
    if split.slots and len(split.slots) != len(shape.user.features):
        raise ModelError(f"{shape.name}: slots must be one per user feature ({len(shape.user.features)}), not "
                         f"{len(split.slots)}")  # fmt: skip
    if split.kind == "exact":
        if split.static or split.dynamic or split.slots or split.user_top != shape.top[:1]:
            raise ModelError(f"{shape.name}: an exact split cuts the first top layer and nothing else")
        return
    for number, (whole, user) in enumerate(zip(shape.top, split.user_top, strict=False)):
        if not 1 <= user < whole:
            raise ModelError(f"{shape.name}: the user's part of layer {number} must be 1 to {whole - 1}, not {user}")
    for name, widths, columns in (
        ("static", split.static, shape.user.static),
        ("dynamic", split.dynamic, shape.user.context),
    ):
        if (widths[0] if widths else 0) != len(columns) or (widths and (len(widths) < 2 or min(widths) < 1)):
            raise ModelError(f"{shape.name}: the {name} bottom MLP must start with {len(columns)} inputs and have "
                             f"no empty layer, not {widths}")  # fmt: skip


class Parts(Frozen, frozen=True, kw_only=True):
    """Widths of all parts of a split model, each from its inputs on; () where there is none."""

    static: tuple[int, ...]
    dynamic: tuple[int, ...]
    bottom: tuple[int, ...]
    """The whole bottom MLP on the user's side: exact only."""
    user_top: tuple[int, ...]
    item_top: tuple[int, ...]
    combined: tuple[int, ...]


def parts(shape: DlrmShape, split: Split) -> Parts:
    """Widths of the parts of `shape` cut by `split`."""
    check_split(shape, split)
    item = shape.elements(shape.item_features)
    count = len(split.user_top)
    exact = split.kind == "exact"
    bottoms = (shape.bottom,) if exact else (split.static, split.dynamic)
    user = shape.elements(shape.user.features) + sum(widths[-1] for widths in bottoms if widths)
    item_top = shape.top[:1] if exact else tuple(w - u for w, u in zip(shape.top, split.user_top, strict=False))
    joined = shape.top[0] if exact else split.user_top[-1] + item_top[-1]
    return Parts(
        static=split.static,
        dynamic=split.dynamic,
        bottom=shape.bottom if exact else (),
        user_top=(user, *split.user_top),
        item_top=(item, *item_top),
        combined=(joined, *shape.top[count:]),
    )


def split_shape(shape: DlrmShape, split: Split) -> DlrmShape:
    """`shape` with the lookups of the split model, whose histories may be of another length."""
    features = list(shape.features)
    for number, slots in zip(shape.user.features, split.slots, strict=False):
        features[number] = features[number].replace(lookups=slots)
    return shape.replace(features=tuple(features))


def macs(widths: tuple[int, ...]) -> int:
    """Products of one vector through fully connected layers of `widths`, inputs first."""
    return sum(before * after for before, after in itertools.pairwise(widths))
