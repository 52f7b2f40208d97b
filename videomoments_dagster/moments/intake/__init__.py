"""The inbox: a folder, a bucket's prefix, or a manifest, from which videos come by themselves."""
