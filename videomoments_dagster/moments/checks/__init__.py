"""Asset checks: what must hold of results, where a person sees it.

Two kinds. Checks of an asset's own step look at what was just made, for nothing (`made`). The check
`stored_result_is_sound`, one an asset, looks at rows and objects as they are now, whatever became
of them (`stored`): the job `check_stored_results` runs all of them for a video, and they run where
an asset is materialised from the UI. Other jobs leave them out, so that a run that changes nothing
reads no object.

A blocking check fails after its asset is stored, and a run without it is not held up by it.
Whatever would do harm with a bad result looks at it again itself (`required`).
"""
