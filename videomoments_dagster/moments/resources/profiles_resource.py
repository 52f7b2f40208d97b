"""The file of generation profiles as a Dagster resource."""

from pathlib import Path
from typing import Any

import dagster as dg

from videomoments_dagster.moments.profiles import load_profiles, profile_named
from videomoments_dagster.moments.records import SelectedConfigs


class ProfilesResource(dg.ConfigurableResource[Any]):
    """The generation profiles; read anew in each run, so that an edit needs no restart.

    Reads the file VIDEOMOMENTS_PROFILES, or the one that the project ships; writes nothing. If it
    fails, the message names the profile and the field to mend.
    """

    path: str = ""
    """The file; empty for the one that the project ships."""

    def selected(self, name: str) -> SelectedConfigs:
        """The configurations of the profile `name`.

        Raises:
            SettingsRejected: If the file is invalid or has no such profile.
        """
        return profile_named(name, load_profiles(Path(self.path) if self.path else None))
