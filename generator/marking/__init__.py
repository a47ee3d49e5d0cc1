"""Marks on generated images: watermark, labels, signed manifest, ledger. No torch in here."""
