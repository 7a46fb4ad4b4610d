"""Exact maximum flow on layered networks, with certificates."""

from attnflow.maxflow.flow import MaxFlow, max_flow
from attnflow.maxflow.solver import Solver

__all__ = ["MaxFlow", "Solver", "max_flow"]
