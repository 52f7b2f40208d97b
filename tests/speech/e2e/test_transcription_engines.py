"""The engines on real media: real models loaded, real containers read."""

import re
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from whisper_model import make_whisper_model

from videomoments_dagster.base.failures import (
    EngineUnavailable,
    SettingsRejected,
    SourceRejected,
)
from videomoments_dagster.media.ffmpeg import ffmpeg_executable
from videomoments_dagster.media.probe import probe
from videomoments_dagster.speech.engine import TranscriptionOptions, TranscriptionRequest
from videomoments_dagster.speech.engines import engine_named

REAL = Path(__file__).parents[3].parent / "shared" / "realdata" / "speech"
OPTIONS = TranscriptionOptions(models_folder=Path("nowhere"))
TALK = Path(__file__).parents[3] / "demo" / "talk.mp4"

CAPTIONS = """1
00:00:01,000 --> 00:00:02,000
Good morning everybody.

2
00:00:02,500 --> 00:00:04,000
Now we begin.

3
00:01:00,000 --> 00:01:01,000
Far too late.
"""


def real(name: str) -> Path:
    if not (REAL / name).exists():
        pytest.skip(f"{name} is not beside the project")
    return REAL / name


def talk() -> Path:
    if not TALK.exists():
        pytest.skip("the demo's talk is not there")
    return TALK


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return make_whisper_model(tmp_path_factory.mktemp("models") / "tiny-random.en")


@pytest.fixture(scope="session")
def multilingual_model(tmp_path_factory):
    return make_whisper_model(tmp_path_factory.mktemp("models") / "tiny-random", multilingual=True)


def ffmpeg(*arguments):
    command = [ffmpeg_executable(), "-y", "-loglevel", "error", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=60)


@pytest.fixture
def silence(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=5", tmp_path / "silence.wav")
    return tmp_path / "silence.wav"


@pytest.fixture
def noise(tmp_path):
    """Rhythmic noise: sound without speech."""
    source = "anoisesrc=d=8:r=16000:a=0.4:seed=7"
    media = tmp_path / "noise.wav"
    ffmpeg("-f", "lavfi", "-i", source, "-af", "tremolo=f=3:d=0.9", media)
    return media


@pytest.fixture
def soundless(tmp_path):
    media = tmp_path / "soundless.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=2", media)
    return media


def whisper(model, **options):
    defaults = {
        "models_folder": Path("nowhere"),
        "whisper_model": str(model),
        "device": "cpu",
        "cpu_threads": 1,
        "temperatures": (0.0,),
    }
    return engine_named("faster-whisper", TranscriptionOptions(**{**defaults, **options}))


def request_for(media, tmp_path, **more):
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return TranscriptionRequest(
        **{"media": media, "facts": probe(media), "captions": None, "scratch": scratch, **more}
    )


def assert_reliable(transcript, request):
    duration = request.facts.duration_seconds
    for items in (transcript.words, transcript.segments):
        edges = [edge for item in items for edge in (item.start, item.end)]
        assert all(type(edge) is float for edge in edges)
        assert edges == sorted(edges)
        assert all(0 <= edge <= duration for edge in edges)
    for word in transcript.words:
        assert any(s.start <= word.start and word.end <= s.end for s in transcript.segments)
    assert transcript.full_text == " ".join(s.text for s in transcript.segments)
    said = " ".join(word.text for word in transcript.words)
    assert said.replace(" ", "") == transcript.full_text.replace(" ", "")
    assert not list(request.scratch.iterdir()), "left in scratch"


class TestFasterWhisper:
    @pytest.mark.parametrize("options", [{}, {"batch_size": 4}, {"vad": False}])
    def test_it_loads_a_real_model_and_its_words_can_be_relied_on(self, model, tmp_path, options):
        engine = whisper(model, language="en", **options)
        engine.check()
        part = tmp_path / "part.mp4"
        ffmpeg("-i", talk(), "-t", "15", "-c", "copy", part)
        request = request_for(part, tmp_path)
        shares = []
        transcript = engine.transcribe(request, progress=shares.append)
        assert_reliable(transcript, request)
        assert len(transcript.words) > 10
        assert transcript.transcription_service == "faster-whisper:tiny-random.en"
        assert transcript.language == "en"
        assert transcript.processing_time_seconds > 0
        assert shares == sorted(shares)
        assert shares[-1] == 1.0

    def test_the_same_sound_gives_the_same_words(self, model, noise, tmp_path):
        engine = whisper(model, vad=False, temperatures=(0.0, 0.5))
        first = engine.transcribe(request_for(noise, tmp_path))
        second = engine.transcribe(request_for(noise, tmp_path))
        assert first.words
        assert (first.words, first.segments) == (second.words, second.segments)

    def test_a_long_sound_is_heard_in_pieces(self, model, noise, tmp_path, monkeypatch):
        monkeypatch.setattr("videomoments_dagster.speech.whisper._PIECE_SECONDS", 3.0)
        request = request_for(noise, tmp_path)
        transcript = whisper(model, vad=False).transcribe(request)
        assert_reliable(transcript, request)
        # Cuts lie in the last tenth of a piece: between 2.7 and 3.0 s, and 5.4 and 6.0 s.
        starts = [segment.start for segment in transcript.segments]
        assert any(start < 2.7 for start in starts)
        assert any(2.7 <= start < 5.4 for start in starts)
        assert any(start >= 5.4 for start in starts)

    def test_a_multilingual_model_finds_the_language(self, multilingual_model, noise, tmp_path):
        request = request_for(noise, tmp_path)
        transcript = whisper(multilingual_model, vad=False).transcribe(request)
        assert transcript.language in {"en", "de", "fr"}
        assert_reliable(transcript, request)

    def test_a_wanted_language_is_kept(self, multilingual_model, noise, tmp_path):
        engine = whisper(multilingual_model, vad=False, language="de")
        assert engine.transcribe(request_for(noise, tmp_path)).language == "de"
        request = request_for(noise, tmp_path, language="fr")
        assert engine.transcribe(request).language == "fr"

    def test_a_language_that_the_model_does_not_know_is_refused(self, model, noise, tmp_path):
        with pytest.raises(SettingsRejected, match="'de'"):
            whisper(model, language="de").transcribe(request_for(noise, tmp_path))

    @pytest.mark.parametrize("options", [{}, {"batch_size": 4}])
    def test_silence_is_an_empty_transcript(self, multilingual_model, silence, tmp_path, options):
        request = request_for(silence, tmp_path)
        transcript = whisper(multilingual_model, **options).transcribe(request)
        assert (transcript.full_text, transcript.words, transcript.segments) == ("", (), ())
        assert transcript.language == "und"
        assert "No speech" in transcript.notes[0]

    def test_no_sound_is_an_empty_transcript(self, model, soundless, tmp_path):
        transcript = whisper(model).transcribe(request_for(soundless, tmp_path))
        assert transcript.words == ()
        assert "no sound" in transcript.notes[0]

    def test_a_missing_model_fails_at_once_without_a_network(self, tmp_path, monkeypatch):
        def refuse(*_, **__):
            pytest.fail("the network was used")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        started = time.monotonic()
        engine = whisper("large-v3", models_folder=tmp_path)
        with pytest.raises(EngineUnavailable) as failure:
            engine.check()
        assert time.monotonic() - started < 15
        assert str(tmp_path / "large-v3") in failure.value.remedy
        command = f"hf download Systran/faster-whisper-large-v3 --local-dir {tmp_path / 'large-v3'}"
        assert command in failure.value.remedy

    def test_a_model_is_found_by_its_name_in_the_models_folder(self, model):
        engine = whisper(model.name, models_folder=model.parent)
        engine.check()
        assert engine.service == "faster-whisper:tiny-random.en"

    def test_a_damaged_model_fails_in_a_sentence(self, model, noise, tmp_path):
        damaged = make_whisper_model(tmp_path / "damaged")
        (damaged / "tokenizer.json").write_text("{}")
        with pytest.raises(EngineUnavailable, match="could not be loaded"):
            whisper(damaged).transcribe(request_for(noise, tmp_path))

    def test_cuda_without_a_device_fails_before_anything_is_loaded(self, model, monkeypatch):
        monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)
        options = TranscriptionOptions(
            models_folder=model.parent, whisper_model=str(model), device="cuda"
        )
        with pytest.raises(EngineUnavailable, match="CUDA") as failure:
            engine_named("faster-whisper", options).check()
        assert "cpu" in failure.value.remedy

    def test_a_compute_type_that_the_device_lacks_is_refused(self, model):
        with pytest.raises(SettingsRejected, match="float7"):
            whisper(model, compute_type="float7").check()


class TestCaptions:
    engine = engine_named("captions", OPTIONS)

    def test_a_caption_file_becomes_a_transcript(self, soundless, tmp_path):
        captions = tmp_path / "talk.en.srt"
        captions.write_text(CAPTIONS)
        request = request_for(soundless, tmp_path, captions=captions)
        request = replace(request, facts=replace(request.facts, duration_seconds=3.0))
        transcript = self.engine.transcribe(request)
        assert_reliable(transcript, request)
        assert transcript.full_text == "Good morning everybody. Now we begin."
        assert transcript.segments[1].end == 3.0
        assert transcript.language == "en"
        assert transcript.transcription_service == "captions"
        assert any("spread within each cue" in note for note in transcript.notes)
        assert any("1 of 3 cues" in note for note in transcript.notes)

    def test_cues_that_the_note_leaves_out_are_left_out(self, soundless, tmp_path):
        captions = tmp_path / "talk.srt"
        early = "1\n-00:00:02,000 --> -00:00:01,000\nToo early.\n\n"
        captions.write_text(early + CAPTIONS)
        request = request_for(soundless, tmp_path, captions=captions)
        # Milliseconds round the end down to a time before it.
        request = replace(request, facts=replace(request.facts, duration_seconds=2.0004))
        transcript = self.engine.transcribe(request)
        assert transcript.full_text == "Good morning everybody."
        assert any(note.startswith("3 of 4 cues are before") for note in transcript.notes)

    def test_captions_that_name_no_language_are_in_that_of_their_text(self, soundless, tmp_path):
        captions = tmp_path / "talk.srt"
        captions.write_text("1\n00:00:00,500 --> 00:00:01,900\nOggi parliamo del nuovo ponte.\n")
        transcript = self.engine.transcribe(request_for(soundless, tmp_path, captions=captions))
        assert transcript.language == "it"
        assert re.search(r"by their text it is 'it', \d+% sure", transcript.notes[0])

    @pytest.mark.parametrize("name", ["talk.de.srt", "talk.srt"])
    def test_a_language_that_somebody_gave_wins(self, soundless, tmp_path, name):
        captions = tmp_path / name
        captions.write_text("1\n00:00:00,500 --> 00:00:01,900\nOggi parliamo del nuovo ponte.\n")
        language = None if ".de" in name else "de"
        request = request_for(soundless, tmp_path, captions=captions, language=language)
        transcript = self.engine.transcribe(request)
        assert transcript.language == "de"
        assert not any("language" in note for note in transcript.notes)

    def test_a_text_that_tells_no_language_has_none(self, soundless, tmp_path):
        captions = tmp_path / "talk.srt"
        captions.write_text("1\n00:00:00,500 --> 00:00:01,900\nTaxi!\n")
        transcript = self.engine.transcribe(request_for(soundless, tmp_path, captions=captions))
        assert transcript.language == "und"
        assert "does not tell it" in transcript.notes[0]

    @pytest.mark.parametrize("name", ["talk.mkv", "talk.mp4", "talk.ts.mkv"])
    def test_a_subtitle_stream_is_read_on_the_presented_timeline(self, tmp_path, name):
        captions, media = tmp_path / "captions.srt", tmp_path / name
        captions.write_text(CAPTIONS)
        picture = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=6"]
        # The picture starts late, so that its clock is not the container's.
        late = ["-itsoffset", "0.8"] if name == "talk.ts.mkv" else []
        codec = "mov_text" if name.endswith("mp4") else "srt"
        language = ["-metadata:s:s:0", "language=eng"]
        ffmpeg(*late, *picture, "-i", captions, "-c:s", codec, *language, media)
        request = request_for(media, tmp_path)
        transcript = self.engine.transcribe(request)
        assert_reliable(transcript, request)
        shift = request.facts.origin_seconds
        assert shift == pytest.approx(0.8 if late else 0.0, abs=0.02)
        assert transcript.segments[0].start == pytest.approx(1.0 - shift, abs=0.002)
        assert transcript.full_text.startswith("Good morning everybody. Now we begin.")
        assert transcript.language == "en"
        assert any(codec.replace("srt", "subrip") in note for note in transcript.notes)

    def test_no_captions_anywhere_fails_and_says_how_to_give_them(self, soundless, tmp_path):
        with pytest.raises(EngineUnavailable, match="No captions") as failure:
            self.engine.transcribe(request_for(soundless, tmp_path))
        assert "videomoments add SOURCE --captions FILE" in failure.value.remedy

    def test_a_file_that_is_none_fails_and_names_it(self, soundless, tmp_path):
        captions = tmp_path / "notes.srt"
        captions.write_text("Just some notes")
        with pytest.raises(SourceRejected, match=r"notes\.srt"):
            self.engine.transcribe(request_for(soundless, tmp_path, captions=captions))

    @pytest.mark.parametrize("name", ["absent.srt", "."])
    def test_a_file_that_cannot_be_read_fails_and_names_it(self, soundless, tmp_path, name):
        with pytest.raises(SourceRejected, match="caption file"):
            self.engine.transcribe(request_for(soundless, tmp_path, captions=tmp_path / name))

    def test_captions_without_cues_are_an_empty_transcript(self, soundless, tmp_path):
        captions = tmp_path / "empty.vtt"
        captions.write_text("WEBVTT\n")
        transcript = self.engine.transcribe(request_for(soundless, tmp_path, captions=captions))
        assert (transcript.full_text, transcript.words, transcript.segments) == ("", (), ())
        assert "nothing" in transcript.notes[0]

    def test_a_whisper_program_s_srt_fits_its_video(self, tmp_path):
        request = request_for(
            real("synth_5min/synth_5min.mp4"), tmp_path, captions=real("synth_5min/baseline.srt")
        )
        transcript = self.engine.transcribe(request)
        assert_reliable(transcript, request)
        assert len(transcript.segments) > 50
