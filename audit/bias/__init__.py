"""The bias room: how a generator's images are shared among perceived groups, and how sure one can be of it."""
