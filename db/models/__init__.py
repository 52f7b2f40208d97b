"""The tables, one file each.

Every model is imported here: a model that is not imported is not in `Base.metadata`, and the
migrations would not know it. The first eight are the documented ones in `public`; the others are
the project's own, in the schema `pipeline`.
"""

from db.models.moments.clip import Clip
from db.models.moments.generation_config import GenerationConfig
from db.models.moments.moment import Moment
from db.models.moments.pipeline_history import PipelineHistory
from db.models.moments.prompt import Prompt
from db.models.moments.thumbnail import Thumbnail
from db.models.moments.transcript import Transcript
from db.models.moments.video import Video
from db.models.pipeline.inbox_entry import InboxEntry
from db.models.pipeline.kept_answer import KeptAnswer
from db.models.pipeline.materialisation import Materialisation
from db.models.pipeline.object_origin import ObjectOrigin
from db.models.pipeline.selected_config import SelectedConfig
from db.models.pipeline.source import Source
from db.models.pipeline.stored_page import StoredPage
from db.models.pipeline.transcript_segment import TranscriptSegment
from db.models.pipeline.video_file import VideoFile

__all__ = [
    "Clip",
    "GenerationConfig",
    "InboxEntry",
    "KeptAnswer",
    "Materialisation",
    "Moment",
    "ObjectOrigin",
    "PipelineHistory",
    "Prompt",
    "SelectedConfig",
    "Source",
    "StoredPage",
    "Thumbnail",
    "Transcript",
    "TranscriptSegment",
    "Video",
    "VideoFile",
]
