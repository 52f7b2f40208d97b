"""Resources of this system."""
