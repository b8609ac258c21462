"""The model zoo as torch modules: ``forward(sparse, dense=None)``, sparse int64 (items, lookups)."""

from microduet.models.dlrm import DlrmModel
from microduet.models.embedding import GeneratedEmbedding
from microduet.models.ranking import RankingModel, build, microrec_large, microrec_small, rmc2
from microduet.models.rm import dlrm, rm1, rm2, rm3, rm4, rm5
from microduet.models.split import SplitModel, split

__all__ = [
    "DlrmModel", "GeneratedEmbedding", "RankingModel", "SplitModel", "build", "dlrm", "microrec_large",
    "microrec_small", "rm1", "rm2", "rm3", "rm4", "rm5", "rmc2", "split",
]  # fmt: skip
