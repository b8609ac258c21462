"""Models cut into a user's, an item's and a combined part, each a module of its own."""

import typing

import torch

from microduet.duet import zoo
from microduet.duet.shape import DlrmShape, UserSide
from microduet.duet.split import Parts, Split, SplitName, exact_split, parts, split_shape
from microduet.errors import ModelError
from microduet.models.dlrm import SAMPLE, DlrmModel, random_inputs, scores
from microduet.models.layers import EmbeddingSums, deviations, initialise, linears, mlp, spread
from microduet.models.ranking import LOGIT_DEVIATION, LOGIT_MEAN, RankingModel


class UserModel(torch.nn.Module):
    """What the device computes once per query.

    Members
    -------
    static, dynamic : bottom MLPs of a `duet` split, ReLU after every layer; None where there is none
    bottom : the whole bottom MLP of an `exact` split, or None
    top : `duet`: Linear and ReLU per split layer; `exact`: one Linear with the bias, no ReLU
    """

    def __init__(self, widths: Parts, user: UserSide, *, exact: bool) -> None:
        super().__init__()
        self.static = mlp(widths.static, last_relu=True) if widths.static else None
        self.dynamic = mlp(widths.dynamic, last_relu=True) if widths.dynamic else None
        self.bottom = mlp(widths.bottom, last_relu=True) if widths.bottom else None
        self.top = mlp(widths.user_top, last_relu=not exact)
        # Where each column of the dense input is in [static, context].
        places = {column: place for place, column in enumerate((*user.static, *user.context))}
        self._order = [places[column] for column in range(len(places))]

    def forward(
        self, pooled: torch.Tensor, static: torch.Tensor | None = None, context: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The user vector, float32 (users, width).

        Parameters
        ----------
        pooled : float32 (users, elements), sums of the user's features in their order
        static, context : float32 (users, columns), None where the model has no such input
        """
        return self.top(self.vector(pooled, static, context))

    def vector(self, pooled: torch.Tensor, static: torch.Tensor | None, context: torch.Tensor | None) -> torch.Tensor:
        """What the user's top MLP reads: pooled features, then outputs of the static and the dynamic bottom MLP."""
        pieces = [pooled]
        if self.static is not None:
            pieces.append(self.static(static))
        if self.dynamic is not None:
            pieces.append(self.dynamic(context))
        if self.bottom is not None:
            given = [one for one in (static, context) if one is not None]
            pieces.append(self.bottom(torch.cat(given, 1)[:, self._order]))
        return torch.cat(pieces, 1)


class CombinedModel(torch.nn.Module):
    """The layers behind both parts: of their concatenation (`duet`), or of the ReLU of their sum (`exact`)."""

    def __init__(self, widths: Parts, *, exact: bool) -> None:
        super().__init__()
        self.layers = mlp(widths.combined, last_relu=False)
        self.exact = exact

    def forward(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Logits (items, 1 or 2) of a user vector (items or 1, user width) and items' parts (items, item width)."""
        if self.exact:
            return self.layers(torch.relu(user + item))
        return self.layers(torch.cat([user.expand(len(item), -1), item], 1))


class SplitModel(torch.nn.Module):
    """A model cut by `spec.split`; a new one has random weights, for training.

    Members
    -------
    shape : of the split model: `duet` may keep longer histories than the uncut model sums
    embeddings, user_model, item_model, combined_model : the parts
    """

    def __init__(self, spec: zoo.DlrmModelSpec, *, embeddings: EmbeddingSums | None = None) -> None:
        super().__init__()
        if spec.split is None:
            raise ModelError(f"{spec.shape.name}: a split model needs a split, not None")
        self.spec, self.name = spec, f"{spec.shape.name}-{spec.split.kind}"
        self.split, self.shape = spec.split, split_shape(spec.shape, spec.split)
        exact = spec.split.kind == "exact"
        widths = parts(spec.shape, spec.split)
        self.embeddings = embeddings or EmbeddingSums(self.shape, seed=spec.seed, storage=spec.tables)
        self.user_model = UserModel(widths, self.shape.user, exact=exact)
        self.item_model = mlp(widths.item_top, last_relu=not exact)
        self.combined_model = CombinedModel(widths, exact=exact)
        if exact:  # the bias is the user's
            self.item_model[0] = torch.nn.Linear(*widths.item_top, bias=False)
        self._initialise()

    def forward(self, sparse: torch.Tensor, dense: torch.Tensor | None = None) -> torch.Tensor:
        """Scores float32 (items,): sparse int64 (items, lookups) in the features' order, dense (items, dense)."""
        return scores(self.logits(sparse, dense))

    def logits(self, sparse: torch.Tensor, dense: torch.Tensor | None = None) -> torch.Tensor:
        """Outputs of the last layer, float32 (items, 1 or 2)."""
        shape = self.shape
        user = self.user_vector(_columns(shape, shape.user.features, sparse), dense)
        return self.combined_model(user, self.item_part(_columns(shape, shape.item_features, sparse)))

    def pooled(self, sparse: torch.Tensor) -> torch.Tensor:
        """Sums of the user's features, float32 (users, elements), of their ids int64 (users, their lookups)."""
        return self.embeddings(self.shape, self.shape.user.features, sparse)

    def user_vector(self, sparse: torch.Tensor, dense: torch.Tensor | None = None) -> torch.Tensor:
        """The user vector (users, width) of the user's ids (users, their lookups) and dense inputs (users, dense)."""
        user = self.shape.user
        static = dense[:, list(user.static)] if dense is not None and user.static else None
        context = dense[:, list(user.context)] if dense is not None and user.context else None
        return self.user_model(self.pooled(sparse), static, context)

    def item_part(self, sparse: torch.Tensor) -> torch.Tensor:
        """The items' part (items, width) of the item's ids int64 (items, their lookups)."""
        return self.item_model(self.embeddings(self.shape, self.shape.item_features, sparse))

    def rank(self, user: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """Scores (candidates,) of one user vector (width,) and the candidates' ids (candidates, item lookups)."""
        return scores(self.combined_model(user.unsqueeze(0), self.item_part(candidates)))

    def _initialise(self) -> None:
        shape, generator = self.shape, torch.Generator().manual_seed(self.spec.seed)
        user = self.user_model
        bottoms = [linears(module) for module in (user.static, user.dynamic, user.bottom)]
        outputs = sum(layers[-1].out_features for layers in bottoms if layers)
        scales = {
            linears(user.top)[0]: torch.cat([deviations(shape, shape.user.features), torch.ones(outputs)]),
            linears(self.item_model)[0]: deviations(shape, shape.item_features),
        }
        layers = [layer for part in bottoms for layer in part]
        for layer in (*layers, *linears(user.top), *linears(self.item_model), *linears(self.combined_model)):
            initialise(layer, generator, scales.get(layer))
        with torch.no_grad():
            logits = self.logits(*random_inputs(shape, SAMPLE, generator))
        spread(linears(self.combined_model)[-1], logits, mean=LOGIT_MEAN, deviation=LOGIT_DEVIATION)


def split(model: DlrmModel | RankingModel, kind: typing.Literal["duet", "exact"] = "exact") -> SplitModel:
    """Cut a model.

    ``exact`` takes the model's weights and answers as it does, up to the order of float additions; ``duet`` takes its
    tables and its shape only, and is to be trained. Tables are shared, not copied.

    Raises
    ------
    ModelError
        If it is not known which inputs are the user's, or the split does not fit.
    """
    whole = _uncut(model)
    embeddings = whole.embeddings
    result = SplitModel(whole.spec.replace(split=zoo.split_of(whole.shape, kind)), embeddings=embeddings)
    if kind == "exact":
        _take_weights(result, whole)
    return result


def _uncut(model: DlrmModel | RankingModel) -> DlrmModel:
    """The same model as a `DlrmModel`, with its very tables and weights."""
    if isinstance(model, DlrmModel):
        return model
    spec = model.spec
    result = DlrmModel(zoo.DlrmModelSpec(shape=zoo.shape_of(spec.shape.name), seed=spec.seed, tables=spec.tables))
    result.embeddings.tables = model.tables
    for mine, theirs in zip(linears(result.top), linears(model.mlp), strict=True):
        mine.load_state_dict(theirs.state_dict())
    return result


@torch.no_grad()
def _take_weights(result: SplitModel, whole: DlrmModel) -> None:
    shape: DlrmShape = whole.shape
    first, *others = linears(whole.top)
    bottom = list(range(shape.top_inputs - shape.bottom_outputs, shape.top_inputs))
    [user], [item] = linears(result.user_model.top), linears(result.item_model)
    user.weight.copy_(first.weight[:, shape.positions(shape.user.features) + bottom])
    user.bias.copy_(first.bias)
    item.weight.copy_(first.weight[:, shape.positions(shape.item_features)])
    pairs = [
        *zip(linears(result.user_model.bottom), linears(whole.bottom), strict=True),
        *zip(linears(result.combined_model), others, strict=True),
    ]
    for mine, theirs in pairs:
        mine.load_state_dict(theirs.state_dict())


def _columns(shape: DlrmShape, features: tuple[int, ...], sparse: torch.Tensor) -> torch.Tensor:
    return torch.cat([sparse[:, shape.columns(feature)] for feature in features], 1)


def build_dlrm(spec: zoo.DlrmModelSpec) -> DlrmModel | SplitModel:
    """The torch module of a description: `exact` has the weights of the uncut model of the same seed."""
    if spec.split is None:
        return DlrmModel(spec)
    if spec.split == exact_split(spec.shape):
        return split(DlrmModel(spec.replace(split=None)), "exact")
    return SplitModel(spec)


def blocks(user: torch.nn.Linear, item: torch.nn.Linear) -> torch.Tensor:
    """Joint weights of two parts of one layer, float32 (outputs, inputs), the user's first: block-diagonal."""
    return torch.block_diag(user.weight, item.weight)


__all__ = ["CombinedModel", "Split", "SplitModel", "SplitName", "UserModel", "blocks", "build_dlrm", "split"]
