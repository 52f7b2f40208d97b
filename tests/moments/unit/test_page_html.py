"""The page of a video as text: what came from outside stays text, whatever it is."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videomoments_dagster.base.failures import ExportRefused
from videomoments_dagster.base.text import one_line, shown
from videomoments_dagster.media.facts import MediaFacts, VideoStream
from videomoments_dagster.moments.exports.material import material_of
from videomoments_dagster.moments.exports.moment_lists import chapters_text
from videomoments_dagster.moments.page.page import PageContents, Picture, page_html
from videomoments_dagster.moments.page.page_addresses import data_address, relative_address
from videomoments_dagster.moments.records import Clip, Moment, Video
from videomoments_dagster.moments.stored_videos import StoredVideo
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</title></style></textarea><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x=\'',
    "<!-- --><![CDATA[ ]]>&lt;b&gt;&#60;",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe\u2066\u0000\x1b[31m\x85\ud800",
    "javascript:alert(1)",
]
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=40)


def contents(
    text: str = "", *, source: str | None = "/films/talk.mp4", **values: Any
) -> PageContents:
    """A page with everything, and `text` wherever text from outside is shown."""
    said = f"We say {text}"
    roots = tuple(
        Moment(
            identifier=f"{number:016x}",
            start_time=5.0 + 30 * number,
            end_time=25.5 + 30 * number,
            title=f"Moment {text}",
            generation_model="extractive",
            score=number + 3,
            scoring_model=f"m{text}",
        )
        for number in range(3)
    )
    clips = {
        root.identifier: Clip(
            moment_identifier=root.identifier,
            cloud_url="file:///objects/clips/talk/a.mp4",
            start_time=root.start_time - 5,
            end_time=root.end_time + 5,
            padding_left=5,
            padding_right=5,
            file_size_kb=2048,
            format=f"mp4{text}",
            video_codec="h264",
            audio_codec="aac",
            resolution=f"1x1{text}",
        )
        for root in roots[:1]
    }
    picture = Picture(data_address("image/jpeg", b"\xff\xd8"), 256, 144)
    of_video: dict[str, Any] = {
        "video": Video(
            identifier="talk",
            source_url=source,
            cloud_url="file:///objects/videos/talk/a.mp4",
            content_hash="0" * 64,
            facts=MediaFacts(
                container="mov",
                duration_seconds=90.0,
                size_bytes=1,
                video=VideoStream(0, f"h264{text}", 1280, 720, 0, 25.0, 0.0, 90000),
                audio=None,
            ),
            title=f"Talk {text}",
        ),
        "transcript": Transcript(
            full_text=said,
            words=(Word("We", 1.0, 1.2), Word("say", 1.3, 1.5), Word(text, 1.6, 2.0)),
            segments=(Segment(said, 1.0, 2.0), Segment("The end.", 80.0, 81.0)),
            language=f"en{text}",
            transcription_service=f"captions{text}",
            processing_time_seconds=1.0,
        ),
        "moments": roots,
        "refined": (replace(roots[0], start_time=5.5, parent_identifier=roots[0].identifier),),
        "clips": clips,
    }
    of_page: dict[str, Any] = {
        "video_address": relative_address(["..", "a b", "talk.mp4"]),
        "clip_addresses": dict.fromkeys(clips, relative_address(["clip.mp4"])),
        "pictures": {None: picture, roots[0].identifier: picture},
        "media_note": f"Note {text}",
    }
    of_page |= {name: values.pop(name) for name in of_page if name in values}
    return PageContents(StoredVideo(**(of_video | values)), **of_page)


class Parsed(HTMLParser):
    """A page taken apart: its tags in order, and its texts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.other: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self._in = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        kept = {"script": self.scripts, "style": self.styles}.get(self._in, self.texts)
        kept.append(data)

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    def unknown_decl(self, data: str) -> None:
        self.other.append(data)

    @property
    def structure(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes in self.tags]

    def addresses(self) -> list[str]:
        names = ("href", "src", "poster", "action", "formaction", "xlink:href", "srcset", "data")
        return [
            attributes[name] or ""
            for _, attributes in self.tags
            for name in names
            if name in attributes
        ]


PLAIN = Parsed(page_html(contents("plainly")))


@settings(max_examples=60)
@given(text=TEXTS)
def test_no_text_from_outside_becomes_a_tag_or_an_attribute(text: str) -> None:
    page = page_html(contents(text))
    parsed = Parsed(page)
    assert parsed.structure == PLAIN.structure
    assert parsed.other == []
    assert parsed.scripts == PLAIN.scripts
    assert parsed.styles == PLAIN.styles
    assert parsed.addresses() == PLAIN.addresses()
    page.encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_shown_as_what_it_is(text: str) -> None:
    parsed = Parsed(page_html(contents(text)))
    whole = "".join(parsed.texts)
    assert one_line(f"Moment {text}") in whole
    assert one_line(f"We say {text}") in whole
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b\x85\ud800-\udfff]", whole)


@pytest.mark.parametrize(
    "source",
    [
        "javascript:alert(1)",
        "JaVaScRiPt://example.org/%0aalert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "https://user:secret@example.org/a.mp4",
        "https://example.org/a.mp4?token=secret",
        'https://example.org/"onclick="alert(1)',
        "https://ex\u0430mple.org/",
        "gs://bucket/a.mp4",
        "file:///home/me/secret/talk.mp4",
        "/home/me/secret/talk.mp4",
    ],
)
def test_a_source_that_may_not_be_followed_is_text_and_tells_no_secret(source: str) -> None:
    page = page_html(contents(source=source))
    assert not [address for address in Parsed(page).addresses() if source[:8] in address]
    assert "secret" not in page


def test_a_public_source_can_be_followed() -> None:
    parsed = Parsed(page_html(contents(source="https://example.org/talks/a%20b.webm")))
    assert "https://example.org/talks/a%20b.webm" in parsed.addresses()


@given(source=st.text(max_size=60) | st.from_regex(r"[a-z]{2,11}:(//)?.{0,20}", fullmatch=True))
@settings(max_examples=60)
def test_whatever_the_source_every_address_is_harmless(source: str) -> None:
    for address in Parsed(page_html(contents(source=source))).addresses():
        assert re.match(
            r"#|data:,$|https?://[^@]+$|data:image/jpeg;base64,|\.\./|clip\.mp4$", address
        )


def test_the_policy_allows_the_pages_own_script_and_style_and_no_other() -> None:
    [policy] = [
        attributes["content"] or ""
        for tag, attributes in PLAIN.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for rule, [content] in (("script-src", PLAIN.scripts), ("style-src", PLAIN.styles)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not [tag for tag, attributes in PLAIN.tags if "style" in attributes]
    assert not [
        name for _, attributes in PLAIN.tags for name in attributes if name.startswith("on")
    ]


@pytest.mark.parametrize("name", ["page.css", "page.js"])
def test_style_and_script_cannot_end_early_and_load_nothing(name: str) -> None:
    text = files("videomoments_dagster.moments.page").joinpath(name).read_text(encoding="utf-8")
    assert not re.search(r"</(script|style)|<!--|https?:|url\(|@import|innerHTML|eval\(", text)
    assert "\r" not in text


def test_the_same_contents_give_the_same_bytes() -> None:
    assert page_html(contents("once")) == page_html(contents("once"))


def test_the_page_has_what_assistive_technology_needs() -> None:
    tags = [tag for tag, _ in PLAIN.tags]
    assert (
        tags.count("h1") == tags.count("main") == tags.count("header") == tags.count("footer") == 1
    )
    identifiers = [attributes["id"] for _, attributes in PLAIN.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    referred = {
        attributes[name]
        for _, attributes in PLAIN.tags
        for name in ("aria-labelledby", "for")
        if name in attributes
    }
    assert referred <= set(identifiers)
    anchors = {address[1:] for address in PLAIN.addresses() if address.startswith("#")}
    assert anchors <= set(identifiers)
    assert all("alt" in attributes for tag, attributes in PLAIN.tags if tag == "img")


def chapters_in(page: str) -> str | None:
    found = re.search(r'<textarea id="chapters"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    return found and html.unescape(found[1])


def test_the_page_has_the_chapters_that_the_export_has() -> None:
    whole = contents("<b>").stored
    exported = chapters_text(material_of(whole, boundaries="moments"))
    assert exported == (
        "0:00 Moment \u2039b\u203a\n0:35 Moment \u2039b\u203a\n1:05 Moment \u2039b\u203a\n"
    )
    assert chapters_in(page_html(PageContents(whole))) == exported.removesuffix("\n")

    # The later two begin together, and the last would last 5 seconds.
    for starts in ((5.0, 35.0, 41.0), (5.0, 35.0, 85.0)):
        moments = tuple(
            replace(moment, start_time=start, end_time=start + 4)
            for moment, start in zip(whole.moments, starts, strict=True)
        )
        refused = replace(whole, moments=moments)
        with pytest.raises(ExportRefused):
            chapters_text(material_of(refused, boundaries="moments"))
        assert chapters_in(page_html(PageContents(refused))) is None


def test_the_transcript_has_its_language() -> None:
    said = contents().stored.transcript
    assert said is not None
    for language, tag in (("de", "de"), ('de" onclick="x', "")):
        parsed = Parsed(page_html(contents(transcript=replace(said, language=language))))
        assert [found.get("lang") for kind, found in parsed.tags if kind == "ol"] == [None, tag]


def test_without_media_nothing_can_be_pressed_that_would_play() -> None:
    parsed = Parsed(page_html(contents(video_address=None, clip_addresses={})))
    tags = [tag for tag, _ in parsed.tags]
    assert "video" not in tags
    assert [attributes.get("id") for tag, attributes in parsed.tags if tag == "button"] == [
        "best-first",
        "copy",
    ]
    assert "Moment" in "".join(parsed.texts)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (None, "There is no transcript yet."),
        (Transcript("", (), (), "en", "captions", 0.0), "Nothing is said in this video."),
    ],
)
def test_a_video_without_speech_or_moments_has_a_page(
    said: Transcript | None, sentence: str
) -> None:
    text = "".join(Parsed(page_html(contents(transcript=said, moments=()))).texts)
    assert sentence in text
    assert "There are none." in text


def test_a_video_without_a_length_has_no_timeline() -> None:
    video = contents().stored.video
    facts = replace(video.facts, duration_seconds=0.0, video=None)
    parsed = Parsed(page_html(contents(video=replace(video, facts=facts))))
    assert "svg" not in [tag for tag, _ in parsed.tags]


@given(text=st.text(max_size=60))
def test_shown_text_is_the_same_when_shown_again(text: str) -> None:
    assert shown(shown(text)) == shown(text)
    assert one_line(one_line(text)) == one_line(text)
