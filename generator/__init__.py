"""Makes images, and marks every one it writes."""
