"""Models of our own tables, schema `pipeline`: one file a table."""
