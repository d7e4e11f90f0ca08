"""Hostile files by the thousand: what reads files must refuse them by name, and never crash."""
