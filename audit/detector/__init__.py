"""The detector room: does an image look like output of the generators the detector was trained on?

A detector's answer is a measurement with known error rates, never proof of origin.
"""
