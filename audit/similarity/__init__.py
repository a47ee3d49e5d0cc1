"""The similarity room: which images of a reference set does an image resemble more than chance explains?

A candidate is a lead for a person to look at, never proof that an image was copied or that a model memorised it.
"""
