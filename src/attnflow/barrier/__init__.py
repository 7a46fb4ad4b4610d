"""The central maximum flow: an interior point of the set of maximum flows, to a certified gap."""

from attnflow.barrier.central import Centre, centre

__all__ = ["Centre", "centre"]
