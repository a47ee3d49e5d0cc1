"""Families of generators, one file each: `loss(batch)`, `sample(texts, seeds)`, `trace(images)`."""
