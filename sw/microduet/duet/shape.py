"""What a recommendation model of DLRM's form is made of, and which of its inputs are the user's; no torch."""

import itertools
from pathlib import Path

import msgspec

from microduet.errors import ModelError
from microduet.unreadable import UNREADABLE
from microduet_hw.config import Frozen


class TableShape(Frozen, frozen=True, kw_only=True):
    """An embedding table."""

    rows: int
    dim: int


class Lookups(Frozen, frozen=True, kw_only=True):
    """One sparse feature: `lookups` rows of table `table`, summed. Two features may share a table."""

    table: int
    lookups: int = 1


class UserSide(Frozen, frozen=True, kw_only=True):
    """Which inputs are the user's: the configuration of every split.

    Members
    -------
    features : numbers of the sparse features that are histories or attributes of the user; the others are the item's
    static, context : columns of the dense input that change rarely, and those that come with every query
    """

    features: tuple[int, ...] = ()
    static: tuple[int, ...] = ()
    context: tuple[int, ...] = ()


class DlrmShape(Frozen, frozen=True, kw_only=True):
    """A model of DLRM's form (Naumov et al., arXiv 1906.00091) whose interaction is concatenation, as Duet's Table 2.

    The top MLP reads every feature's sum in the order of the features, then the bottom MLP's outputs. ReLU follows
    every layer but the last, which has one output, scored by a sigmoid, or two, scored by their softmax.

    Parameters
    ----------
    bottom : width of the dense input, then of every layer of the bottom MLP; () for a model without dense inputs
    top : outputs of every layer of the top MLP
    user : which inputs are the user's

    Raises
    ------
    ModelError
        If a number is out of its range, or a dense input is not exactly once the user's.
    """

    name: str
    tables: tuple[TableShape, ...]
    features: tuple[Lookups, ...]
    bottom: tuple[int, ...] = ()
    top: tuple[int, ...]
    user: UserSide = UserSide()

    def __post_init__(self) -> None:
        if not self.features or not self.top:
            raise ModelError(f"{self.name}: a model has at least one feature and one layer in its top MLP")
        numbers = [number for table in self.tables for number in (table.rows, table.dim)]
        numbers += [feature.lookups for feature in self.features] + [*self.bottom, *self.top]
        if min(numbers) < 1:
            raise ModelError(f"{self.name}: rows, dims, lookups and widths must be at least 1, not {min(numbers)}")
        for number, feature in enumerate(self.features):
            if not 0 <= feature.table < len(self.tables):
                raise ModelError(f"{self.name}: feature {number} is of table {feature.table}, not 0 to "
                                 f"{len(self.tables) - 1}")  # fmt: skip
        if len(self.bottom) == 1:
            raise ModelError(f"{self.name}: a bottom MLP has an input width and at least one layer, not {self.bottom}")
        if self.top[-1] not in (1, 2):
            raise ModelError(f"{self.name}: the top MLP must end in 1 or 2 outputs, not {self.top[-1]}")
        self._check_user()

    def _check_user(self) -> None:
        user = self.user
        if not set(user.features) <= set(range(len(self.features))) or sorted(set(user.features)) != [*user.features]:
            raise ModelError(f"{self.name}: the user's features must be numbers of features in order, each once")
        if sorted((*user.static, *user.context)) != list(range(self.dense)):
            raise ModelError(
                f"{self.name}: each of the {self.dense} dense inputs must be static or context, exactly once"
            )

    @property
    def dense(self) -> int:
        """Columns of the dense input."""
        return self.bottom[0] if self.bottom else 0

    @property
    def bottom_outputs(self) -> int:
        """Outputs of the bottom MLP."""
        return self.bottom[-1] if self.bottom else 0

    @property
    def item_features(self) -> tuple[int, ...]:
        """Numbers of the features that are not the user's."""
        return tuple(k for k in range(len(self.features)) if k not in self.user.features)

    @property
    def lookups(self) -> int:
        """Columns of the sparse input."""
        return sum(feature.lookups for feature in self.features)

    @property
    def top_inputs(self) -> int:
        """Elements that the top MLP reads."""
        return self.elements(range(len(self.features))) + self.bottom_outputs

    def dim(self, feature: int) -> int:
        """Elements of feature number `feature`."""
        return self.tables[self.features[feature].table].dim

    def elements(self, features: range | tuple[int, ...]) -> int:
        """Elements of several features side by side."""
        return sum(self.dim(feature) for feature in features)

    def columns(self, feature: int) -> slice:
        """Columns of the sparse input that feature number `feature` looks up."""
        first = sum(before.lookups for before in self.features[:feature])
        return slice(first, first + self.features[feature].lookups)

    def positions(self, features: tuple[int, ...]) -> list[int]:
        """Places of the elements of `features` in what the top MLP reads."""
        starts = list(itertools.accumulate((self.dim(k) for k in range(len(self.features))), initial=0))
        return [starts[k] + column for k in features for column in range(self.dim(k))]

    def with_rows(self, rows: int | None) -> "DlrmShape":
        """The same model with tables of `rows` rows each, for tests and hashed ids; None changes nothing."""
        if rows is None:
            return self
        return self.replace(tables=tuple(table.replace(rows=rows) for table in self.tables))

    def to_json(self) -> bytes:
        """The description as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)


def read_shape(path: Path | str) -> DlrmShape:
    """The description in the JSON file at `path`; raises ModelError, naming the file, if there is none."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=DlrmShape)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    except (*UNREADABLE, ModelError) as error:
        raise ModelError(f"{path}: {error}") from error
