"""Phrases of Chinese and Japanese, which are written without spaces between words.

In Japanese, a run of kanji or katakana is a noun group more often than not, and "no" joins two. In
Chinese, runs lie between function characters, and "de" joins two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from videomoments_dagster.moments.finding.noun_groups import Phrase

_LATIN = r"A-Za-z0-9\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
_JAPANESE_RUN = rf"(?:[\u3400-\u4dbf\u4e00-\u9fff\u3005]+|[\u30a1-\u30fa\u30fc]+|[{_LATIN}]+)+"
_JAPANESE = re.compile(rf"{_JAPANESE_RUN}(?:(?:\u306e|\u3068|\u306a){_JAPANESE_RUN}){{0,2}}")
_JAPANESE_PRONOUNS = re.compile(
    r"^(?:\u79c1|\u50d5|\u4ffa|\u5f7c|\u5f7c\u5973|\u6211\u3005|\u4eca\u65e5|\u4eca\u56de|\u7686"
    r"\u69d8|\u4eca|\u65b9|\u4e8b|\u7269|\u6642|\u6240|\u4e2d|\u524d|\u5f8c|\u8a00|\u601d|\u898b)"
    r"(?:$|\u306e|\u3068)|^\u79c1\u305f\u3061|^\u76ae"
)

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
# We, you, they; this, that; so, but, because, if, then; what, how; today, now, very, also.
_CHINESE_STOP_LIST = """
我们 你们 他们 她们 它们 咱们 大家 自己 这个 那个 这些 那些 这样 那样 这里 那里 这种 那种
所以 但是 因为 如果 然后 而且 或者 虽然 可是 不过 于是 因此 什么 怎么 怎样 如何 为什么 今天
现在 已经 非常 可能 可以 应该 需要 就是 还是 不是 没有 一个 一些 一下 一种 一样 时候 东西
事情 知道 觉得 认为 告诉 开始 进行 通过 对于 关于 其实 首先 其次 最后 接下来 也就是说 讨论
介绍 来说 之后 之前 以及 很多 影响 改变 成为 帮助 我們 你們 他們 這個 那個 這些 這樣 這裡
因為 然後 雖然 什麼 怎麼 為什麼 現在 已經 應該 沒有 一個 時候 東西 覺得 認為 開始 通過 對於
關於 我 你 他 她 它 您 这 那 這 是 了 在 和 与 與 跟 就 也 都 还 還 又 很 不 没 沒
有 要 把 被 让 讓 给 給 从 從 着 著 吗 嗎 呢 吧 啊 嗯 哦 呀 去 说 說 讲 講 看 做 想
以 而 并 則 则 哪 谁 誰 个 個 使
"""
_CHINESE_STOP = re.compile("|".join(sorted(_CHINESE_STOP_LIST.split(), key=len, reverse=True)))
_CHINESE_RUN = rf"(?:(?!\u7684)[{_HAN}{_LATIN}])"
_CHINESE = re.compile(rf"{_CHINESE_RUN}{{2,10}}(?:\u7684{_CHINESE_RUN}{{2,8}})?")

_KANA = re.compile(r"[\u3041-\u30ff]")
_SHORTEST = 2
_GOOD_LENGTH = 4
_SHORT = 0.7
_JOINED = 1.15
_CHARACTERS_OF_A_WORD = 2
_LONGEST = 16


def unspaced_phrases(text: str, *, language: str) -> Iterator[Phrase]:
    """Give the noun groups of a text.

    Args:
        text: A sentence.
        language: "ja" or "zh".
    """
    if language == "ja":
        runs = (found.group() for found in _JAPANESE.finditer(text))
        runs = (run for run in runs if not _JAPANESE_PRONOUNS.match(run))
    else:
        parts = (part.strip("\u7684 ") for part in _CHINESE_STOP.sub("\n", text).split("\n"))
        runs = (found.group() for part in parts for found in _CHINESE.finditer(part))
    for run in runs:
        if not _SHORTEST < len(run) <= _LONGEST and not (
            len(run) == _SHORTEST and not _KANA.search(run)
        ):
            continue
        aptness = _SHORT if len(run) < _GOOD_LENGTH else 1.0
        if "\u306e" in run or "\u7684" in run:
            aptness *= _JOINED
        yield Phrase(run, aptness, max(len(run) // _CHARACTERS_OF_A_WORD, 1))
