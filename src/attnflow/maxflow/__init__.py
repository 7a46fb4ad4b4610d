"""Exact maximum flow on layered networks, with certificates."""

from attnflow.maxflow.board import Board
from attnflow.maxflow.flow import MaxFlow, max_flow
from attnflow.maxflow.solver import Solver

__all__ = ["Board", "MaxFlow", "Solver", "max_flow"]
