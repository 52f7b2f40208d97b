"""Models of the system of moments, schema `public`: one file a table."""
