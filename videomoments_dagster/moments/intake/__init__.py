"""The inbox: a folder, a prefix of a bucket, or a manifest, from which videos come by themselves.

Belongs here: listing what lies there, telling what is new, whole and not known already. Does not
belong here: how a source is registered (`registration`), or when somebody
looks (`automation`).
"""
