"""Thousands of damaged files: reading one succeeds or raises a named error, and never crashes."""
