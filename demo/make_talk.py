"""Make `talk.mp4`, the short talk that the demo works on, from `script.md`.

Belongs here: speech, slides and encoding of that one film. Nothing of the project imports this;
it is run by hand when the script or the slides change. README.md in this folder says what it needs.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent

VOICE = "rms"
# Of the rates tried (0.85 to 1.1), the one that a small recogniser understands best.
DURATION_STRETCH = 0.92
SAMPLE_RATE = 16_000
PAUSE_AT_THE_START = 1.2
PAUSE_BETWEEN_SENTENCES = 0.45
PAUSE_BETWEEN_TOPICS = 2.2
PAUSE_AT_THE_END = 2.0

WIDTH, HEIGHT = 1280, 720
FRAMES_PER_SECOND = 15
# The moving pictures advance every third frame, which halves the file.
FRAMES_PER_PICTURE = 3
SECONDS_PER_KEYFRAME = 3
# Drawings are made this many times larger and then reduced, for smooth edges.
OVERSAMPLING = 2
PICTURE_SIDE = 440
PICTURE_CORNER = (790, 200)

SYNTHESIS_TIMEOUT_SECONDS = 60
ENCODING_TIMEOUT_SECONDS = 600

Colour = tuple[int, int, int]
WHITE: Colour = (250, 250, 246)


@dataclass(frozen=True)
class Topic:
    """One part of the talk: a slide and what is said to it."""

    title: str
    bullets: tuple[str, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Slide:
    """A topic placed in time.

    Attributes:
        topic: What is shown and said.
        start: When the slide appears, seconds.
        end: When the next one appears, seconds.
        bullet_times: When each bullet appears, seconds.
    """

    topic: Topic
    start: float
    end: float
    bullet_times: tuple[float, ...]


@dataclass(frozen=True)
class Look:
    """Background, accent and the moving picture of a slide."""

    background: Colour
    accent: Colour
    draw: Callable[[ImageDraw.ImageDraw, float, Colour], None]


def read_script(text: str) -> list[Topic]:
    """Read the headings, bullets and paragraphs of the script."""
    topics = []
    for part in re.split(r"^#+ ", text, flags=re.MULTILINE)[1:]:
        title, *lines = [line.strip() for line in part.splitlines() if line.strip()]
        spoken = " ".join(line for line in lines if not line.startswith("- "))
        topics.append(
            Topic(
                title=title,
                bullets=tuple(line[2:] for line in lines if line.startswith("- ")),
                sentences=tuple(re.split(r"(?<=[.?!])\s+", spoken)),
            )
        )
    return topics


def speak(sentence: str, scratch: Path) -> np.ndarray:
    """Synthesise one sentence as 16-bit samples, without the silence around it."""
    target = scratch / "sentence.wav"
    command = ["flite", "-voice", VOICE, "--setf", f"duration_stretch={DURATION_STRETCH}"]
    subprocess.run(
        [*command, "-t", sentence, "-o", str(target)],
        check=True,
        timeout=SYNTHESIS_TIMEOUT_SECONDS,
    )
    with wave.open(str(target)) as reader:
        if reader.getframerate() != SAMPLE_RATE:
            raise SystemExit(f"voice {VOICE} does not speak at {SAMPLE_RATE} Hz")
        return np.frombuffer(reader.readframes(reader.getnframes()), dtype=np.int16)


def silence(seconds: float) -> np.ndarray:
    """Samples of nothing."""
    return np.zeros(round(seconds * SAMPLE_RATE), dtype=np.int16)


def perform(topics: list[Topic], scratch: Path) -> tuple[np.ndarray, list[Slide]]:
    """Speak the whole script and note when each slide and bullet is due."""
    pieces = [silence(PAUSE_AT_THE_START)]
    slides = []
    slide_start = 0.0
    for number, topic in enumerate(topics):
        sentence_times = []
        for sentence in topic.sentences:
            sentence_times.append(sum(map(len, pieces)) / SAMPLE_RATE)
            pieces += [speak(sentence, scratch), silence(PAUSE_BETWEEN_SENTENCES)]
        last = number == len(topics) - 1
        pause = PAUSE_AT_THE_END if last else PAUSE_BETWEEN_TOPICS
        pieces.append(silence(pause - PAUSE_BETWEEN_SENTENCES))
        end = sum(map(len, pieces)) / SAMPLE_RATE
        # The next slide comes in the middle of the pause, as a speaker would turn the page.
        slide_end = end if last else end - pause / 2
        share = len(sentence_times) / max(1, len(topic.bullets))
        bullet_times = tuple(sentence_times[int(i * share)] for i in range(len(topic.bullets)))
        slides.append(Slide(topic, slide_start, slide_end, bullet_times))
        slide_start = slide_end
    return np.concatenate(pieces), slides


def draw_sun(canvas: ImageDraw.ImageDraw, time: float, accent: Colour) -> None:
    """A sun with slowly turning rays."""
    for ray in range(16):
        angle = math.tau * ray / 16 + time / 6
        inner, outer = 230, 330 + 30 * math.sin(time * 2 + ray * 2)
        ends = [(440 + r * math.cos(angle), 440 + r * math.sin(angle)) for r in (inner, outer)]
        canvas.line(ends, fill=accent, width=18)
    canvas.ellipse((250, 250, 630, 630), fill=accent)


def draw_bread(canvas: ImageDraw.ImageDraw, time: float, accent: Colour) -> None:
    """A loaf that rises on its tray, with steam."""
    rise = 40 * (1 - math.cos(time / 4)) / 2
    canvas.rounded_rectangle((60, 690, 820, 730), 20, fill=WHITE)
    canvas.rounded_rectangle((140, 420 - rise, 740, 690), 130, fill=accent)
    for cut in range(3):
        x = 270 + cut * 140
        canvas.line((x, 560 - rise / 2, x + 70, 470 - rise), fill=(112, 62, 24), width=16)
    for plume in range(3):
        x = 300 + plume * 140
        points = [
            (x + 22 * math.sin(y / 40 + time * 2 + plume), 330 - rise - y) for y in range(0, 200, 8)
        ]
        canvas.line(points, fill=WHITE, width=10, joint="curve")


def draw_tides(canvas: ImageDraw.ImageDraw, time: float, accent: Colour) -> None:
    """The moon over rising and falling waves."""
    canvas.ellipse((560, 60, 760, 260), fill=(246, 240, 200))
    for crater in ((620, 120, 660, 160), (680, 180, 712, 212)):
        canvas.ellipse(crater, fill=(222, 214, 170))
    for wave_row in range(3):
        level = 460 + wave_row * 120 - 60 * math.sin(time / 5)
        crests = [
            (x, level + 26 * math.sin(x / 70 + time * (1.2 + wave_row / 3) + wave_row * 2))
            for x in range(20, 861, 10)
        ]
        shade = tuple(channel * (5 - wave_row) // 5 for channel in accent)
        canvas.polygon([(20, 860), *crests, (860, 860)], fill=shade)


def draw_bicycle(canvas: ImageDraw.ImageDraw, time: float, accent: Colour) -> None:
    """A bicycle with turning wheels and pedals."""
    back, front, pedals, saddle, bars = (210, 580), (670, 580), (410, 580), (340, 350), (600, 330)
    for x, y in (back, front):
        canvas.ellipse((x - 160, y - 160, x + 160, y + 160), outline=WHITE, width=16)
        for spoke in range(8):
            angle = math.tau * spoke / 8 + time * 1.5
            end = (x + 150 * math.cos(angle), y + 150 * math.sin(angle))
            canvas.line([(x, y), end], fill=WHITE, width=5)
    frame = [back, saddle, pedals, back, pedals, bars, saddle]
    canvas.line(frame, fill=accent, width=22, joint="curve")
    canvas.line([front, (580, 270), (650, 250)], fill=accent, width=22, joint="curve")
    canvas.line([saddle, (320, 300)], fill=accent, width=22)
    canvas.rounded_rectangle((250, 275, 390, 308), 16, fill=WHITE)
    for side in (0.0, math.pi):
        angle = time * 1.5 + side
        end = (pedals[0] + 80 * math.cos(angle), pedals[1] + 80 * math.sin(angle))
        canvas.line([pedals, end], fill=WHITE, width=14)
    canvas.line((20, 750, 860, 750), fill=WHITE, width=10)


def draw_bee(canvas: ImageDraw.ImageDraw, time: float, accent: Colour) -> None:
    """A bee that dances a figure of eight over a honeycomb."""
    for row in range(3):
        for column in range(5):
            x, y = 120 + column * 150 + (row % 2) * 75, 525 + row * 130
            cell = [
                (x + 80 * math.sin(math.tau * k / 6), y + 80 * math.cos(math.tau * k / 6))
                for k in range(6)
            ]
            canvas.polygon(cell, fill=accent, outline=(120, 80, 10), width=10)
    x, y = 440 + 220 * math.sin(time), 250 + 90 * math.sin(2 * time)
    flap = 30 * math.sin(time * 11)
    for side in (-1, 1):
        wing = (x + side * 55 - 55, y - 160 - flap, x + side * 55 + 55, y - 40)
        canvas.ellipse(wing, fill=(222, 236, 244))
    canvas.ellipse((x - 130, y - 80, x + 130, y + 80), fill=(250, 200, 30))
    for stripe in (-60, 0, 60):
        half = 76 if stripe == 0 else 66
        canvas.line((x + stripe, y - half, x + stripe, y + half), fill=(40, 30, 20), width=30)
    canvas.ellipse((x + 92, y - 26, x + 116, y - 2), fill=(40, 30, 20))


LOOKS = (
    Look((52, 58, 92), (255, 196, 84), draw_sun),
    Look((150, 82, 40), (226, 158, 84), draw_bread),
    Look((16, 62, 104), (84, 176, 220), draw_tides),
    Look((30, 98, 66), (246, 170, 60), draw_bicycle),
    Look((116, 52, 96), (236, 168, 36), draw_bee),
    Look((52, 58, 92), (255, 196, 84), draw_sun),
)


def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, which needs no file on the machine."""
    found = ImageFont.load_default(size)
    if not isinstance(found, ImageFont.FreeTypeFont):
        raise SystemExit("this Pillow was built without FreeType")
    return found


def minutes(seconds: float) -> str:
    """Seconds as a clock shows them."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def page(slide: Slide, look: Look, bullets: int) -> Image.Image:
    """What stands still on a slide: its title and the bullets so far."""
    image = Image.new("RGB", (WIDTH, HEIGHT), look.background)
    canvas = ImageDraw.Draw(image)
    canvas.text((80, 84), slide.topic.title, font=font(72), fill=WHITE)
    canvas.rectangle((84, 186, 324, 194), fill=look.accent)
    for row, bullet in enumerate(slide.topic.bullets[:bullets]):
        y = 260 + row * 84
        canvas.ellipse((86, y + 12, 106, y + 32), fill=look.accent)
        canvas.text((130, y), bullet, font=font(38), fill=WHITE)
    return image


def frames(slides: list[Slide], duration: float) -> Iterator[bytes]:
    """Every frame of the film as raw RGB."""
    clock_font = font(30)
    shown: tuple[int, int] | None = None
    still = Image.new("RGB", (WIDTH, HEIGHT))
    side = PICTURE_SIDE * OVERSAMPLING
    for index in range(math.ceil(duration * FRAMES_PER_SECOND)):
        time = index / FRAMES_PER_SECOND
        number = next((n for n, slide in enumerate(slides) if time < slide.end), len(slides) - 1)
        slide, look = slides[number], LOOKS[number]
        bullets = sum(due <= time for due in slide.bullet_times)
        if shown != (number, bullets):
            shown = (number, bullets)
            still = page(slide, look, bullets)
        image = still.copy()
        picture = Image.new("RGB", (side, side), look.background)
        picture_time = (index - index % FRAMES_PER_PICTURE) / FRAMES_PER_SECOND
        look.draw(ImageDraw.Draw(picture), picture_time, look.accent)
        reduced = picture.resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BOX)
        image.paste(reduced, PICTURE_CORNER)
        canvas = ImageDraw.Draw(image)
        canvas.rectangle((80, 664, 1060, 672), fill=tuple(c // 2 for c in look.background))
        canvas.rectangle((80, 664, 80 + round(980 * time / duration), 672), fill=look.accent)
        clock = f"{minutes(time)} / {minutes(duration)}"
        canvas.text((1090, 650), clock, font=clock_font, fill=WHITE)
        # No two frames are the same, so that a cut can be judged by eye, too.
        canvas.text((1170, 30), f"{index:04d}", font=clock_font, fill=look.accent)
        yield image.tobytes()


def encode(slides: list[Slide], sound: Path, duration: float, target: Path) -> None:
    """Write the film as H.264 and AAC in MP4, with nothing in it that differs between runs."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-nostdin", "-loglevel", "error"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", f"{WIDTH}x{HEIGHT}"]
    command += ["-framerate", str(FRAMES_PER_SECOND), "-i", "pipe:0", "-i", str(sound)]
    command += ["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"]
    command += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    command += ["-c:v", "libx264", "-preset", "slower", "-tune", "animation", "-crf", "34"]
    command += ["-threads", "1"]
    command += ["-g", str(FRAMES_PER_SECOND * SECONDS_PER_KEYFRAME)]
    command += ["-c:a", "aac", "-b:a", "40k", "-ar", "48000", "-ac", "1"]
    command += ["-metadata", f"title={slides[0].topic.title}", "-fflags", "+bitexact"]
    command += ["-movflags", "+faststart", str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        if process.stdin is None:
            raise SystemExit("ffmpeg has no input")
        for frame in frames(slides, duration):
            process.stdin.write(frame)
        process.stdin.close()
        if process.wait(timeout=ENCODING_TIMEOUT_SECONDS) != 0:
            raise SystemExit("ffmpeg could not encode the talk")


def main() -> None:
    """Make the talk and put it beside this file."""
    if shutil.which("flite") is None:
        raise SystemExit("flite is missing: apt-get install flite")
    topics = read_script((HERE / "script.md").read_text(encoding="utf-8"))
    if len(topics) != len(LOOKS):
        raise SystemExit(f"the script has {len(topics)} parts, and there are {len(LOOKS)} looks")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        samples, slides = perform(topics, scratch)
        sound = scratch / "speech.wav"
        with wave.open(str(sound), "wb") as writer:
            writer.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            writer.writeframes(samples.tobytes())
        duration = len(samples) / SAMPLE_RATE
        film = scratch / "talk.mp4"
        encode(slides, sound, duration, film)
        finished = HERE / ".talk.mp4.part"
        shutil.copyfile(film, finished)
        finished.replace(HERE / "talk.mp4")
    for slide in slides:
        sys.stdout.write(f"{slide.start:7.2f} {slide.end:7.2f}  {slide.topic.title}\n")


if __name__ == "__main__":
    main()
