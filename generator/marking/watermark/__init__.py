"""Watermarks in pixels: `registry` names the schemes, `interface` says what each must do, `keys` keeps the keys."""
