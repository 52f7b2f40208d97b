"""The system of moments: a video in, its best moments out. Imports core and tools only."""
