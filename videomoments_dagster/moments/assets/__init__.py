"""The seven assets, one file each. An asset reads like a description of its step."""
