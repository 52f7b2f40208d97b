"""Media files: probing, clip cutting, sound extraction and stills, as functions over files.

Times are seconds on the presented timeline of a file, where 0 is what a player shows first; a
"container time" is on the container's own clock.
"""
