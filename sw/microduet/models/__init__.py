"""The model zoo as torch modules: ``forward(sparse, dense=None)``, sparse int64 (items, lookups)."""

from microduet.models.embedding import GeneratedEmbedding
from microduet.models.ranking import RankingModel, build, microrec_large, microrec_small, rmc2

__all__ = ["GeneratedEmbedding", "RankingModel", "build", "microrec_large", "microrec_small", "rmc2"]
