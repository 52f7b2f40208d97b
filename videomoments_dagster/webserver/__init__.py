"""Dagster's webserver behind a guard against other web pages."""
