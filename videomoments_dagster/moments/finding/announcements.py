"""Announcements: openings, goodbyes and adverts, found by what is said and where in the video.

"This portion of the show is brought to you by ..." opens an advert, the next link or thanks to the
sponsor ends it. "Welcome to the show" in the first minutes ends an opening, "thanks for listening"
in the last ones begins a goodbye; in the middle they mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Protocol

_ADVERT_LISTS = {
    "en": r"brought to you (?:entirely )?by|sponsored by|our sponsors?\b|today's sponsor",
    "de": r"pr\u00e4sentiert von|gesponsert von|unse?re?[mn]? sponsor|werbepartner",
    "fr": r"sponsoris\u00e9e? par|notre sponsor|notre partenaire"
    r"|vous est (?:offert|propos\u00e9)e? par",
    "es": r"patrocinad[oa] por|nuestros? patrocinador(?:es)?",
    "it": r"sponsorizzat[oa] da|nostro sponsor|offert[oa] da",
    "pt": r"patrocinad[oa] por|nossos? patrocinador(?:es)?|oferecid[oa] por",
    "nl": r"gesponsord door|mogelijk gemaakt door|onze sponsor",
}
_MENTION_LISTS = {
    "en": r"for supporting (?:the|this|us|my)\b|for supporting \w+ \w+(?: to me| and me)?\.?$"
    r"|promo code|discount code|coupon code|use (?:the|our|my) code|patreon|show notes"
    r"|links? (?:is |are )?(?:\w+ )*in the description|subscribe to (?:the|our|my|this)"
    r"|(?:press|hit|ring) the (?:bell|like)|mailing list|get started for free",
    "de": r"rabattcode|gutscheincode|patreon|shownotes|in der (?:video)?beschreibung"
    r"|abonniert? (?:den|unseren|meinen)|newsletter",
    "fr": r"code promo|patreon|en description|dans la description|abonnez-vous",
    "es": r"c\u00f3digo (?:promocional|de descuento)|patreon"
    r"|en la descripci\u00f3n|suscr\u00edb(?:e|a)(?:te|nse)",
    "it": r"codice (?:sconto|promo)|patreon|in descrizione|iscrivetevi|iscriviti",
    "pt": r"c\u00f3digo (?:promocional|de desconto)|patreon"
    r"|na descri\u00e7\u00e3o|inscreva-se|se inscrev",
    "nl": r"kortingscode|patreon|in de beschrijving|abonneer je|show ?notes",
}
# A link that is read out: "talkpython.fm/youtube".
_LINK = r"\b[a-z0-9-]+\.(?:com|org|net|io|fm|tv|ai|dev|co|de|fr|es|it|nl|br)\b/"
_GREETING_LISTS = {
    "en": r"\bwelcome\b|(?:great|good|nice|awesome|happy|excited|pleasure) to (?:be here|have you)"
    r"|thanks? (?:you )?(?:so much )?for (?:having|joining|coming)|this is your host",
    "de": r"willkommen|herzlich willkommen|sch\u00f6n,? dass (?:du|ihr|sie)"
    r"|guten (?:tag|abend|morgen)",
    "fr": r"bienvenue|bonjour \u00e0 tous|bonsoir \u00e0 tous"
    r"|merci de (?:m'|nous )?(?:avoir )?invit",
    "es": r"bienvenid[oa]s?|hola a todos|gracias por (?:invitar|acompa\u00f1ar)",
    "it": r"benvenut[oaie]|ciao a tutti|buongiorno a tutti|grazie per (?:l'invito|averm)",
    "pt": r"bem-vind[oa]s?|ol\u00e1,? (?:a todos|pessoal)|obrigad[oa] por (?:me )?(?:convid|receb)",
    "nl": r"welkom|hallo allemaal|leuk dat (?:je|jullie)|fijn dat (?:je|jullie)",
}
_GOODBYE_LISTS = {
    "en": r"thanks?(?: you)?(?: both| all)?(?: so much| very much)? for (?:watching|listening|being"
    r"|having|joining|tuning|coming|making)|thank those who|\bsee (?:you|y'all|ya)"
    r"(?: all)?(?: later| soon| next|$|[.!])|\b(?:good)?bye\b|until next time|another episode"
    r"|talk to (?:you|y'all) later|that's (?:it|all) for (?:today|this|now)"
    r"|next video in this series"
    r"|(?:program|series|concert)s? (?:was|were|is|are) (?:pre-?recorded|recorded|presented)",
    "de": r"tsch\u00fcss|auf wiedersehen|bis zum n\u00e4chsten"
    r"|danke f\u00fcrs? (?:zu|dabei)|vielen dank f\u00fcr",
    "fr": r"au revoir|\u00e0 bient\u00f4t|merci d'avoir|\u00e0 la prochaine",
    "es": r"hasta (?:luego|pronto|la pr\u00f3xima)|adi\u00f3s"
    r"|gracias por (?:ver|escuchar|estar)|nos vemos",
    "it": r"arrivederci|alla prossima|grazie per (?:aver|l'ascolto|la visione)|ci vediamo",
    "pt": r"at\u00e9 (?:logo|a pr\u00f3xima|mais)|tchau|obrigad[oa] por (?:assistir|ouvir|estar)",
    "nl": r"tot ziens|tot de volgende|bedankt voor het (?:kijken|luisteren)|dank voor het",
}

_LONGEST_ADVERT = 120.0  # From its opening to the next mention.
_BETWEEN_MENTIONS = 45.0
# Openings and goodbyes lie in this share of the video at its ends, within these seconds.
_SHARE_AT_ENDS = 0.1
_SHORTEST_AT_ENDS, _LONGEST_AT_ENDS = 30.0, 240.0
_MOST_OF_A_VIDEO = 0.25

Interval = tuple[float, float]


class _Said(Protocol):
    """A sentence: its times in seconds, and its text."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def text(self) -> str: ...


def announcements(
    sentences: Sequence[_Said], *, duration_seconds: float, language: str
) -> tuple[Interval, ...]:
    """Find openings, goodbyes and adverts.

    Args:
        sentences: What is said, in time order.
        duration_seconds: Length of the video.
        language: ISO 639-1 code; empty counts as English, and in languages that are not known
            nothing is found but links that are read out.

    Returns:
        Disjoint intervals in time order, seconds.
    """
    adverts = _matching(sentences, _ADVERT_LISTS, language)
    mentions = adverts | _matching(sentences, _MENTION_LISTS, language, also=_LINK)
    reach = min(max(_SHARE_AT_ENDS * duration_seconds, _SHORTEST_AT_ENDS), _LONGEST_AT_ENDS)
    reach = min(reach, _MOST_OF_A_VIDEO * duration_seconds)
    greetings = mentions | _matching(sentences, _GREETING_LISTS, language)
    goodbyes = mentions | _matching(sentences, _GOODBYE_LISTS, language)
    found: list[Interval] = []
    opening = [at for at in greetings if sentences[at].end <= reach]
    if opening:
        found.append((0.0, sentences[max(opening)].end))
    closing = [at for at in goodbyes if sentences[at].start >= duration_seconds - reach]
    if closing:
        found.append((sentences[min(closing)].start, duration_seconds))
    ordered = sorted(mentions)
    for at, after in zip_longest(ordered, ordered[1:]):
        one = sentences[at]
        found.append((one.start, one.end))
        if after is not None:
            longest = _LONGEST_ADVERT if at in adverts else _BETWEEN_MENTIONS
            if sentences[after].start - one.end <= longest:
                found.append((one.start, sentences[after].end))
    return _joined(found)


def _matching(
    sentences: Sequence[_Said], lists: dict[str, str], language: str, *, also: str = ""
) -> set[int]:
    """Which sentences hold one of a language's phrases."""
    parts = [part for part in (lists.get(language[:2].lower() or "en", ""), also) if part]
    if not parts:
        return set()
    phrase = re.compile("|".join(parts))
    said = (one.text.casefold().replace("\u2019", "'") for one in sentences)
    return {at for at, text in enumerate(said) if phrase.search(text)}


def _joined(intervals: Sequence[Interval]) -> tuple[Interval, ...]:
    """Intervals that overlap or touch as one."""
    joined: list[Interval] = []
    for start, end in sorted(intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return tuple(joined)
