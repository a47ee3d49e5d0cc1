"""Measures images and runs: provenance, bias, detector, similarity; renders reports."""
