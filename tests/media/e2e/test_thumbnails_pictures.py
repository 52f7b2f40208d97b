"""Thumbnails of real media: the right frame, the right way up, in the right colours."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.ffmpeg import ffmpeg_executable
from videomoments_dagster.media.frame_pictures import ThumbnailChoice, make_thumbnail, sample_times
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.stills import fitted_size

REAL_FILES = Path(__file__).resolve().parents[3].parent / "shared" / "realdata" / "odd"

# Not saturated: those colours look the same when their range is misread.
RED, GREEN, BLUE, YELLOW = (220, 30, 40), (30, 210, 60), (40, 60, 220), (220, 210, 30)
COLOUR_TOLERANCE = 7

Make = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path) -> Make:
    """Run ffmpeg with the given arguments and return the file it wrote."""

    def make(name: str, *arguments: str) -> Path:
        target = tmp_path / name
        command = [ffmpeg_executable(), "-v", "error", "-nostdin", "-y", *arguments, str(target)]
        subprocess.run(command, check=True, timeout=60)
        return target

    return make


def source(graph: str, *, crf: int = 18, keyframe_every: int = 25) -> list[str]:
    return [
        *("-f", "lavfi", "-i", graph),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", str(crf)),
        *("-g", str(keyframe_every), "-keyint_min", "1", "-sc_threshold", "0"),
        *("-pix_fmt", "yuv420p"),
    ]


def quadrants(width: int, height: int, seconds: float = 1) -> str:
    """Red, green / blue, yellow."""
    half = f"s={width // 2}x{height // 2}:r=25:d={seconds}"
    colours = ("{:02x}{:02x}{:02x}".format(*colour) for colour in (RED, GREEN, BLUE, YELLOW))
    inputs = ";".join(f"color=0x{c}:{half},format=gbrp[c{n}]" for n, c in enumerate(colours))
    return f"{inputs};[c0][c1]hstack[t];[c2][c3]hstack[b];[t][b]vstack"


def joined(*parts: tuple[str, float]) -> str:
    """Stretches of pictures one after the other, 320x180 at 25 frames per second."""
    chains = ";".join(
        f"{graph},trim=duration={seconds},setpts=PTS-STARTPTS,format=yuv420p[p{n}]"
        for n, (graph, seconds) in enumerate(parts)
    )
    return f"{chains};{''.join(f'[p{n}]' for n in range(len(parts)))}concat=n={len(parts)}"


BLACK = "color=black:s=320x180:r=25"
GREY = "color=gray:s=320x180:r=25"
PICTURE = "testsrc2=s=320x180:r=25"
BLURRED = "testsrc2=s=320x180:r=25,gblur=sigma=6:steps=3"


def thumbnail(media: Path, start: float = 0.0, end: float | None = None) -> ThumbnailChoice:
    facts = probe(media)
    return make_thumbnail(
        media,
        facts,
        start_time=start,
        end_time=facts.duration_seconds if end is None else end,
        destination=media.with_suffix(".jpg"),
        timeout_seconds=30,
    )


def pixels(jpeg: Path) -> np.ndarray:
    with av.open(str(jpeg)) as container:
        frame = next(container.decode(video=0))
        assert frame.format.name == "yuvj420p"
        return frame.to_ndarray(format="rgb24")


def corners(jpeg: Path) -> list[tuple[float, ...]]:
    """Mean colours in the middles of the four quarters, row by row."""
    picture = pixels(jpeg).astype(float)
    height, width = picture.shape[:2]
    return [
        tuple(picture[y - 4 : y + 4, x - 4 : x + 4].mean(axis=(0, 1)))
        for y in (height // 4, 3 * height // 4)
        for x in (width // 4, 3 * width // 4)
    ]


def assert_corners(jpeg: Path, *expected: tuple[int, int, int]) -> None:
    for found, wanted in zip(corners(jpeg), expected, strict=True):
        assert found == pytest.approx(wanted, abs=COLOUR_TOLERANCE)


@pytest.mark.parametrize(
    ("degrees", "size", "expected"),
    [
        (0, (320, 180), (RED, GREEN, BLUE, YELLOW)),
        (90, (180, 320), (BLUE, RED, YELLOW, GREEN)),
        (180, (320, 180), (YELLOW, BLUE, GREEN, RED)),
        (270, (180, 320), (GREEN, YELLOW, RED, BLUE)),
    ],
)
def test_a_rotated_video_gets_an_upright_thumbnail(
    made: Make,
    degrees: int,
    size: tuple[int, int],
    expected: tuple[tuple[int, int, int], ...],
) -> None:
    level = made("level.mp4", *source(quadrants(320, 180)))
    # ffmpeg's option turns counterclockwise.
    turned = made("turned.mp4", "-display_rotation", str(-degrees), "-i", str(level), "-c", "copy")
    choice = thumbnail(turned)
    assert (choice.width, choice.height) == size
    assert_corners(choice.path, *expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-display_hflip"], (GREEN, RED, YELLOW, BLUE)),
        (["-display_vflip"], (BLUE, YELLOW, RED, GREEN)),
        (["-display_rotation", "90", "-display_hflip"], (YELLOW, GREEN, BLUE, RED)),
    ],
)
def test_a_mirrored_video_gets_a_mirrored_thumbnail(
    made: Make, options: list[str], expected: tuple[tuple[int, int, int], ...]
) -> None:
    level = made("level.mp4", *source(quadrants(320, 180)))
    mirrored = made("mirrored.mp4", *options, "-i", str(level), "-c", "copy")
    assert_corners(thumbnail(mirrored).path, *expected)


@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
@pytest.mark.parametrize("range_name", ["tv", "pc"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_colours_are_those_of_the_video(
    made: Make, matrix: str, range_name: str, pixel_format: str
) -> None:
    tag = "bt709" if matrix == "bt709" else "smpte170m"
    media = made(
        "colours.mp4",
        *source(quadrants(320, 180)),
        *("-vf", f"scale=out_color_matrix={matrix}:out_range={range_name}"),
        *("-colorspace", tag, "-color_range", range_name, "-pix_fmt", pixel_format),
    )
    assert_corners(thumbnail(media).path, RED, GREEN, BLUE, YELLOW)


def test_high_definition_without_a_tagged_matrix_is_read_as_players_read_it(made: Make) -> None:
    media = made(
        "untagged.mp4",
        *source(quadrants(1280, 720, seconds=0.2)),
        *("-vf", "scale=out_color_matrix=bt709,setparams=colorspace=unknown"),
    )
    assert_corners(thumbnail(media).path, RED, GREEN, BLUE, YELLOW)


@pytest.mark.parametrize(
    ("aspect", "size"), [("2/1", (640, 180)), ("1/2", (160, 180)), ("4/3", (426, 180))]
)
def test_pixels_that_are_not_square_are_shown_with_their_proportions(
    made: Make, aspect: str, size: tuple[int, int]
) -> None:
    media = made("wide.mp4", *source(f"{PICTURE}:d=0.5,setsar={aspect}"))
    choice = thumbnail(media)
    assert (choice.width, choice.height) == size
    assert pixels(choice.path).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("keyframe_every", [25, 1000])
def test_a_black_opening_is_not_chosen(made: Make, keyframe_every: int) -> None:
    graph = joined((BLACK, 6), (PICTURE, 1))
    choice = thumbnail(made("late.mp4", *source(graph, keyframe_every=keyframe_every)))
    assert choice.time_seconds >= 6
    assert pixels(choice.path).std() > 40


def test_light_between_dark_keyframes_is_found(made: Make) -> None:
    dark = "drawbox=color=black:t=fill:enable='not(between(mod(n,25),10,20))'"
    choice = thumbnail(made("flashes.mp4", *source(f"{PICTURE}:d=10,{dark}")))
    assert pixels(choice.path).std() > 40


def test_a_fade_from_black_is_not_chosen_half_way(made: Make) -> None:
    media = made("fade.mp4", *source(f"{PICTURE}:d=4,fade=in:d=3"))
    assert thumbnail(media).time_seconds >= 2.5


def test_a_blurred_frame_is_not_chosen_when_there_is_a_sharp_one(made: Make) -> None:
    graph = joined((BLURRED, 3), (PICTURE, 1), (BLURRED, 3))
    assert 3 <= thumbnail(made("blurred.mp4", *source(graph))).time_seconds < 4


def test_only_the_stretch_that_was_asked_for_is_looked_at(made: Make) -> None:
    media = made("parts.mp4", *source(joined((PICTURE, 2), (BLURRED, 2), (PICTURE, 2))))
    assert 2 <= thumbnail(media, 2, 4).time_seconds < 4


@pytest.mark.parametrize("name", ["shifted.mkv", "shifted.ts", "shifted.mp4"])
def test_times_count_from_the_first_frame_shown(made: Make, name: str) -> None:
    graph = joined((GREY, 2), (PICTURE, 1), (GREY, 2))
    media = made(name, *source(graph), "-output_ts_offset", "10")
    assert 2 <= thumbnail(media).time_seconds < 3


def test_pictures_that_an_edit_list_hides_are_not_chosen(made: Make) -> None:
    whole = made("whole.mp4", *source(joined((PICTURE, 2), (BLURRED, 3)), keyframe_every=50))
    clip = made("clip.mp4", "-ss", "1.9", "-i", str(whole), "-c", "copy")
    choice = thumbnail(clip, 0.2)
    assert choice.time_seconds >= 0.1


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_video_of_a_few_frames_has_a_thumbnail(made: Make, frames: int) -> None:
    media = made("few.mp4", *source(f"{PICTURE}:d=1"), "-frames:v", str(frames))
    assert thumbnail(media).time_seconds <= (frames - 1) / 25


def test_a_stretch_in_which_no_frame_begins_shows_the_frame_before(made: Make) -> None:
    media = made("slides.mp4", *source("testsrc2=s=320x180:r=1/4:d=16", keyframe_every=2))
    choice = thumbnail(media, 5, 6)
    assert choice.time_seconds == pytest.approx(4, abs=0.01)


def test_a_varying_frame_rate_is_sampled_by_time(made: Make) -> None:
    graph = joined((GREY, 4), (PICTURE, 2), (GREY, 4))
    media = made(
        "varying.mp4",
        *source(graph, keyframe_every=4),
        *("-vf", "select='not(mod(n,12))+between(t,3,5)'", "-fps_mode", "vfr"),
    )
    assert 4 <= thumbnail(media).time_seconds < 6


def test_one_stray_time_does_not_end_the_search(made: Make) -> None:
    media = made(
        "stray.ts",
        *source(f"{PICTURE}:d=2", keyframe_every=1000),
        *("-bsf:v", "setts=pts='if(eq(N,0),PTS+4900/TB,PTS)'"),
    )
    assert thumbnail(media).time_seconds < 2


def test_the_same_file_gives_the_same_bytes_also_from_several_threads(
    made: Make, tmp_path: Path
) -> None:
    media = made("same.mp4", *source(f"{PICTURE}:d=4"))
    facts = probe(media)

    def run(number: int) -> bytes:
        target = tmp_path / f"same-{number}.jpg"
        make_thumbnail(
            media, facts, start_time=0, end_time=4, destination=target, timeout_seconds=30
        )
        return target.read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(run, range(8)))) == 1


def test_the_file_is_a_plain_jpeg_that_names_no_encoder(made: Make, tmp_path: Path) -> None:
    choice = thumbnail(made("plain.mp4", *source(f"{PICTURE}:d=0.5"), "-metadata", "title=Home"))
    content = choice.path.read_bytes()
    assert content.startswith(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    assert content.endswith(b"\xff\xd9")
    header = content[: content.index(b"\xff\xda")]
    assert b"\xff\xfe" not in header
    assert not any(word in content for word in (b"Lavc", b"Exif", b"Home"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain.jpg", "plain.mp4"]


def test_an_older_thumbnail_is_replaced(made: Make) -> None:
    media = made("again.mp4", *source(f"{PICTURE}:d=0.5"))
    media.with_suffix(".jpg").write_bytes(b"old")
    assert thumbnail(media).path.read_bytes().startswith(b"\xff\xd8")


def test_pictures_that_do_not_decode_fail_in_one_sentence_and_leave_nothing(
    made: Make, tmp_path: Path
) -> None:
    media = made("broken.mp4", *source(f"{PICTURE}:d=1"))
    facts = probe(media)
    content = bytearray(media.read_bytes())
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[start:end] = bytes(end - start)
    media.write_bytes(content)
    with pytest.raises(MediaFailed, match=r"No frame of 'broken\.mp4' .* decodes"):
        make_thumbnail(
            media,
            facts,
            start_time=0,
            end_time=1,
            destination=tmp_path / "none.jpg",
            timeout_seconds=30,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]


def test_a_reached_time_limit_is_named(made: Make, tmp_path: Path) -> None:
    media = made("slow.mp4", *source(f"{PICTURE}:d=1"))
    with pytest.raises(MediaFailed, match="within 0 s"):
        make_thumbnail(
            media,
            probe(media),
            start_time=0,
            end_time=1,
            destination=tmp_path / "none.jpg",
            timeout_seconds=0,
        )


def test_sound_alone_has_no_thumbnail_and_says_so(made: Make) -> None:
    media = made("sound.m4a", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac")
    with pytest.raises(MediaFailed, match=r"'sound\.m4a' has no picture"):
        thumbnail(media)


def test_a_stretch_that_ends_before_it_starts_is_refused(made: Make) -> None:
    media = made("stretch.mp4", *source(f"{PICTURE}:d=0.5"))
    with pytest.raises(ValueError, match="no frames can be taken"):
        thumbnail(media, 2, 1)


@settings(deadline=None)
@given(
    width=st.integers(min_value=1, max_value=8000),
    height=st.integers(min_value=1, max_value=8000),
    aspect=st.fractions(min_value=Fraction(1, 4), max_value=4, max_denominator=64),
)
def test_sizes_are_even_fit_and_keep_the_proportions(
    width: int, height: int, aspect: Fraction
) -> None:
    across, down = fitted_size(width, height, pixel_aspect=aspect)
    assert across % 2 == 0
    assert down % 2 == 0
    assert max(across, down) <= 640
    assert min(across, down) <= 360
    assert across <= max(2, width * aspect + 1)
    assert down <= max(2, height + 1)
    wanted = Fraction(width) * aspect / height
    # Rounding moves each side by at most one pixel, and no side is smaller than two.
    assert (across - 1) / Fraction(down + 1) <= max(wanted, Fraction(across, 2))
    assert (across + 1) / Fraction(max(1, down - 1)) >= min(wanted, Fraction(2, down))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080), (640, 360)),
        ((1080, 1920), (360, 640)),
        ((1000, 1000), (360, 360)),
        ((160, 90), (160, 90)),
        ((1279, 719), (640, 360)),
        ((4000, 500), (640, 80)),
    ],
)
def test_sizes_of_common_shapes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fitted_size(*size) == expected


def test_sample_times_are_spread_evenly_inside_the_stretch() -> None:
    assert sample_times(10, 20, 4) == pytest.approx([11.25, 13.75, 16.25, 18.75])


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("video_90.mov", (320, 568)),
        ("video_180.mov", (568, 320)),
        ("video_270.mov", (320, 568)),
        ("1080p-portrait-derotated.mp4", (360, 640)),
        ("sar_2x1.mp4", (640, 180)),
        ("broken-keyframes.mp4", (320, 180)),
        ("whatdoesitdo.mp4", (640, 360)),
    ],
)
def test_odd_real_files_have_thumbnails(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    media = REAL_FILES / name
    if not media.exists():
        pytest.skip(f"{media} is not on this machine")
    facts = probe(media)
    choice = make_thumbnail(
        media,
        facts,
        start_time=0,
        end_time=facts.duration_seconds,
        destination=tmp_path / "odd.jpg",
        timeout_seconds=30,
    )
    assert (choice.width, choice.height) == size
    assert pixels(choice.path).std() > 20


def test_a_clip_whose_only_shown_frames_are_b_frames_has_a_thumbnail(made: Make) -> None:
    # The keyframe is hidden by the edit list, and no frame of the stretch serves as a reference.
    order = "bframes=16:b-adapt=0:b-pyramid=none:keyint=250:scenecut=0"
    graph = "testsrc2=s=320x180:r=25:d=4"
    whole = made("whole.mp4", *source(graph), "-bf", "16", "-x264-params", order)
    clip = made("clip.mp4", "-ss", "0.16", "-i", str(whole), "-t", "0.4", "-c", "copy")
    choice = make_thumbnail(
        clip,
        probe(clip),
        start_time=0.05,
        end_time=0.3,
        destination=clip.with_suffix(".jpg"),
        timeout_seconds=20,
    )
    assert 0.05 <= choice.time_seconds < 0.3
