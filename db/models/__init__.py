"""The tables, one file each.

Every model is imported here: a model that is not imported is not in `Base.metadata`, and the
migrations would not know it. The first eight are the documented ones in `public`; the others are
the project's own, in the schema `pipeline`.
"""

from db.models.clip import Clip
from db.models.generation_config import GenerationConfig
from db.models.inbox_entry import InboxEntry
from db.models.kept_answer import KeptAnswer
from db.models.materialisation import Materialisation
from db.models.moment import Moment
from db.models.object_origin import ObjectOrigin
from db.models.pipeline_history import PipelineHistory
from db.models.prompt import Prompt
from db.models.selected_config import SelectedConfig
from db.models.source import Source
from db.models.stored_page import StoredPage
from db.models.thumbnail import Thumbnail
from db.models.transcript import Transcript
from db.models.transcript_segment import TranscriptSegment
from db.models.video import Video
from db.models.video_file import VideoFile

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
