"""The frame that every asset of every system computes in. Knows no video, and imports no system."""
