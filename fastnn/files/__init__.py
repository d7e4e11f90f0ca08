"""Model files, CSV and npz files, and the atomic replacement of a file."""
