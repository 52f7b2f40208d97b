"""What the UI tells about a materialisation: one module an asset.

Belongs here: from a stored value to numbers, tables, links and pictures. Numbers have names that
stay, with their unit in the name, so that the UI plots them over time and over partitions.
Does not belong here: reading rows or objects, or deciding anything.

Dagster's UI shows tables and Markdown of less than 1,000 characters at once, and longer Markdown
behind a link.
"""
