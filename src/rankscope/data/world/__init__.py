"""Made-up worlds whose right answers are known: one that is asked about, and one that a base knows facts of."""

from rankscope.data.world.people import World, world, write

__all__ = ["World", "world", "write"]
