"""Measurements behind the claims: one module a claim, `python -m benchmarks.NAME [--json]`. Never shipped."""
