"""The `llm` engine: moments found, scored and refined by a language model, never timed by it.

Belongs here: what a model is asked, and how its answers become word edges: windows, line ids,
grounding, mending, merging. Does not belong here: HTTP and retries (`language_models`), storage.
No Dagster, no SQL, no network.
"""
