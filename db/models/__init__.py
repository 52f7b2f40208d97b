"""The tables, one file each.

Every file below is imported here: a model that is not imported is not in `Base.metadata`, and the
migrations would not know it. The first eight are the documented ones in `public`; the others are
the project's own, in the schema `pipeline`.
"""

import importlib
import pkgutil

from db.models.moments.clip import Clip as Clip
from db.models.moments.generation_config import GenerationConfig as GenerationConfig
from db.models.moments.moment import Moment as Moment
from db.models.moments.pipeline_history import PipelineHistory as PipelineHistory
from db.models.moments.prompt import Prompt as Prompt
from db.models.moments.thumbnail import Thumbnail as Thumbnail
from db.models.moments.transcript import Transcript as Transcript
from db.models.moments.video import Video as Video
from db.models.pipeline.inbox_entry import InboxEntry as InboxEntry
from db.models.pipeline.kept_answer import KeptAnswer as KeptAnswer
from db.models.pipeline.materialisation import Materialisation as Materialisation
from db.models.pipeline.object_origin import ObjectOrigin as ObjectOrigin
from db.models.pipeline.selected_config import SelectedConfig as SelectedConfig
from db.models.pipeline.source import Source as Source
from db.models.pipeline.stored_page import StoredPage as StoredPage
from db.models.pipeline.transcript_segment import TranscriptSegment as TranscriptSegment
from db.models.pipeline.video_file import VideoFile as VideoFile

for _file in pkgutil.walk_packages(__path__, f"{__name__}."):
    importlib.import_module(_file.name)
