"""What the UI shows of a materialisation: numbers, tables, links and pictures of a stored value.

Numbers have names that stay, with their unit in the name, so that the UI plots them over time and
over partitions. Nothing is read or decided here. Dagster's UI shows tables and Markdown of less
than 1,000 characters at once, and longer Markdown behind a link.
"""
