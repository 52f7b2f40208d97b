"""Rows and objects of each asset."""
