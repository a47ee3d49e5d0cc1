"""The HTTP service: verify files, hand out signed detection reports, resolve soft bindings. Keeps nothing."""
