"""The provenance room: where does an image say it comes from, and does that hold?

`read` and `gather` are the edges (C2PA engine, watermark, labels, ledger); `chain`, `rubric` and `verdict` are pure.
"""
