"""Moments found, scored and refined by a language model, which never gives a time.

A model names line ids, quotes and word ids; code turns them into word edges. No network here:
`language_models` asks.
"""
