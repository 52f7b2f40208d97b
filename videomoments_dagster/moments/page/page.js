
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const STEP_SECONDS = 5;

  // Chapters.
  const copy = byId("copy");
  if (copy) {
    copy.hidden = false;
    copy.addEventListener("click", () => {
      const text = byId("chapters");
      text.select();
      const done = () => { copy.textContent = "Copied"; };
      if (navigator.clipboard) navigator.clipboard.writeText(text.value).then(done, () => {});
      else if (document.execCommand("copy")) done();
    });
  }

  // Moments by time or by score. The sort is stable: of equal scores, the earlier comes first.
  const list = byId("cards");
  const byTime = Array.from(list ? list.children : []);
  const bestFirst = byId("best-first");
  if (bestFirst) {
    const score = (card) => Number(card.dataset.score);
    const byScore = byTime.slice().sort((one, other) => score(other) - score(one));
    bestFirst.hidden = false;
    bestFirst.addEventListener("click", () => {
      const on = bestFirst.getAttribute("aria-pressed") !== "true";
      bestFirst.setAttribute("aria-pressed", String(on));
      list.append(...(on ? byScore : byTime));
    });
  }

  // Lines of the transcript in which all words of a search occur, whatever their accents.
  const lines = byId("lines");
  const items = lines ? Array.from(lines.children) : [];
  const find = byId("find");
  const found = byId("found");
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  function search() {
    const words = plain(find.value).split(/\s+/).filter(Boolean);
    let count = 0;
    for (const item of items) {
      item.plain = item.plain || plain(item.lastElementChild.textContent);
      item.hidden = !words.every((word) => item.plain.includes(word));
      if (!item.hidden) count += 1;
    }
    const of = count === 1 ? "1 line" : `${count} lines`;
    found.textContent = words.length ? (count ? of : "Nothing found") : "";
  }
  if (find) {
    byId("search").hidden = false;
    find.addEventListener("input", search);
  }

  // Large pictures. Without a script, the link leads to the file.
  const large = byId("large");
  for (const link of all("a.enlarge")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const picture = document.createElement("img");
      picture.src = link.dataset.content || link.getAttribute("href");
      picture.alt = link.dataset.title;
      const close = document.createElement("button");
      close.type = "button";
      close.textContent = "Close";
      large.replaceChildren(picture, close);
      large.showModal();
    });
  }
  // Wherever the click is: on the picture, around it, or on the button.
  large.addEventListener("click", () => large.close());

  const player = byId("player");
  if (!player) return;
  document.body.classList.add("plays");
  const said = byId("said");
  const playhead = byId("playhead");
  const lanes = byId("timeline");
  const follow = byId("follow");
  const duration = lanes ? Number(lanes.dataset.duration) : 0;
  const say = (text) => { said.textContent = text; };

  // What is played: the whole video, or one clip of it. All other times are the video's.
  const clips = all("a.clip").map((link) => ({
    link,
    moment: link.dataset.moment,
    start: Number(link.dataset.start),
    end: Number(link.dataset.end),
  }));
  let whole = player.dataset.whole === "yes";
  let clip = null;
  let broken = false;
  // Browsers differ in where a file begins whose streams all start late: at 0, or at its own time.
  let begins = 0;
  const offset = () => (clip ? clip.start : -begins);
  const now = () => player.currentTime + offset();

  function addressOf(one) {
    const href = one.link.dataset.content;
    if (!href) return one.link.getAttribute("href");
    // Not every browser plays or seeks in a data address, and some die of a large one in a link.
    if (!one.blob) {
      const comma = href.indexOf(",");
      const raw = atob(href.slice(comma + 1));
      const bytes = new Uint8Array(raw.length);
      for (let i = 0; i < raw.length; i += 1) bytes[i] = raw.charCodeAt(i);
      one.blob = URL.createObjectURL(new Blob([bytes], { type: href.slice(5, href.indexOf(";")) }));
    }
    return one.blob;
  }

  for (const one of clips) {
    if (!one.link.dataset.content) continue;
    one.link.addEventListener("click", (event) => {
      event.preventDefault();
      const saved = document.createElement("a");
      saved.href = addressOf(one);
      saved.download = one.link.download;
      saved.click();
    });
  }

  function load(one) {
    if (clip === one && player.getAttribute("src")) return;
    clip = one;
    player.src = addressOf(one);
    fillCaptions();
  }

  let wanted = null;
  function seek(time, play) {
    const target = Math.max(0, time - offset());
    if (player.readyState > 0) {
      wanted = null;
      player.currentTime = target;
    } else {
      wanted = time;
      player.load();
    }
    if (play) {
      const started = player.play();
      if (started) started.catch(() => {});
    }
    show(time);
  }
  player.addEventListener("loadedmetadata", () => {
    begins = clip ? 0 : Math.min(player.currentTime, Math.max(0, Number(player.dataset.origin)));
    if (wanted !== null) player.currentTime = Math.max(0, wanted - offset());
    wanted = null;
  });

  function jump(time, { moment = null, play = true } = {}) {
    if (broken) return;
    if (!whole) {
      const covers = (one) => time >= one.start - 0.05 && time < one.end;
      const found =
        clips.find((one) => one.moment === moment && covers(one)) ||
        (clip && covers(clip) ? clip : clips.find(covers));
      if (!found) {
        say("No clip shows that part, and the whole video is not here.");
        return;
      }
      load(found);
    }
    say("");
    seek(time, play);
  }

  player.addEventListener("error", () => {
    if (whole && clips.length) {
      const time = wanted === null ? now() : wanted;
      const playing = !player.paused;
      whole = false;
      wanted = null;
      const first = clips.find((one) => time >= one.start && time < one.end) || clips[0];
      load(first);
      seek(Math.min(Math.max(time, first.start), first.end), playing);
      say("The whole video cannot be played here; its clips are played instead.");
    } else if (player.getAttribute("src")) {
      broken = whole;
      say("It cannot be played here: the file is gone, or this browser does not know its format.");
    }
  });

  // Moments.
  const cards = all(".moment").map((card, index) => ({
    card,
    bar: document.querySelector(`.bar[data-moment="${index + 1}"]`),
    number: String(index + 1),
    start: Number(card.dataset.start),
    end: Number(card.dataset.end),
    current: false,
  }));
  function mark(element, current) {
    if (!element) return;
    if (current) element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
  }
  function showMoments(time) {
    for (const one of cards) {
      const current = time >= one.start && time < one.end;
      if (current !== one.current) {
        one.current = current;
        mark(one.card, current);
        mark(one.bar, current);
      }
    }
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.jump");
    if (button) {
      const card = button.closest(".moment");
      jump(Number(button.dataset.to), { moment: card && card.id.slice("moment-".length) });
    }
  });
  if (lanes) {
    lanes.addEventListener("click", (event) => {
      const bar = event.target.closest(".bar");
      if (bar) {
        event.preventDefault();
        const one = cards[Number(bar.dataset.moment) - 1];
        jump(one.start, { moment: one.number });
      } else {
        const box = lanes.getBoundingClientRect();
        jump(((event.clientX - box.left) / box.width) * duration, { play: !player.paused });
      }
    });
  }

  // The transcript. Words become elements only where they are played or clicked.
  const starts = Float64Array.from(items, (item) => Number(item.dataset.s));
  const buttons = (item) => item.firstElementChild;
  const textOf = (item) => item.lastElementChild;
  let current = -1;
  let word = null;
  let tabStop = 0;

  function lastAt(times, time) {
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  function wordsOf(item) {
    if (item.words) return item.words;
    const paragraph = textOf(item);
    const text = paragraph.textContent;
    const numbers = (item.dataset.w || "").split(" ").filter(Boolean).map(Number);
    const made = { elements: [], times: [] };
    const fragment = document.createDocumentFragment();
    let place = 0;
    let hundredths = Math.round(Number(item.dataset.s) * 100);
    for (let i = 0; i + 2 < numbers.length; i += 3) {
      const begins = place + numbers[i];
      fragment.append(text.slice(place, begins));
      place = begins + numbers[i + 1];
      hundredths += numbers[i + 2];
      const span = document.createElement("span");
      span.textContent = text.slice(begins, place);
      span.dataset.t = hundredths / 100;
      fragment.append(span);
      made.elements.push(span);
      made.times.push(hundredths / 100);
    }
    fragment.append(text.slice(place));
    paragraph.replaceChildren(fragment);
    item.words = made;
    return made;
  }

  function withoutWords(item) {
    if (!item.words) return;
    const paragraph = textOf(item);
    paragraph.textContent = paragraph.textContent;
    item.words = null;
  }

  function showLine(time) {
    const index = lastAt(starts, time + 0.01);
    if (index !== current) {
      if (current >= 0) {
        mark(items[current], false);
        withoutWords(items[current]);
      }
      current = index;
      word = null;
      if (current >= 0) {
        mark(items[current], true);
        setTabStop(current);
        scrollToCurrent();
      }
    }
    if (current < 0) return;
    const words = wordsOf(items[current]);
    const next = words.elements[lastAt(words.times, time + 0.01)] || null;
    if (next !== word) {
      if (word) word.classList.remove("now");
      if (next) next.classList.add("now");
      word = next;
    }
  }

  function setTabStop(index) {
    if (lines.contains(document.activeElement) && index === current) return;
    moveTabStop(index);
  }
  function moveTabStop(index) {
    buttons(items[tabStop]).tabIndex = -1;
    tabStop = index;
    buttons(items[tabStop]).tabIndex = 0;
  }
  function toTranscript() {
    const first = items[tabStop].hidden ? items.findIndex((item) => !item.hidden) : tabStop;
    if (first < 0) return;
    moveTabStop(first);
    buttons(items[first]).focus();
  }

  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let following = false;
  function setFollowing(on) {
    following = on;
    follow.setAttribute("aria-pressed", String(on));
    if (on) scrollToCurrent();
  }
  function scrollToCurrent() {
    if (!following || current < 0 || items[current].hidden) return;
    const item = items[current];
    const top = item.offsetTop - (lines.clientHeight - item.offsetHeight) / 3;
    const far = Math.abs(top - lines.scrollTop) > lines.clientHeight;
    lines.scrollTo({ top, behavior: still.matches || far ? "auto" : "smooth" });
  }

  if (items.length) {
    follow.hidden = false;
    setFollowing(!still.matches);
    follow.addEventListener("click", () => setFollowing(!following));
    const away = () => { if (following) setFollowing(false); };
    lines.addEventListener("wheel", away, { passive: true });
    lines.addEventListener("touchmove", away, { passive: true });
    // A press on the scroll bar.
    lines.addEventListener("pointerdown", (event) => { if (event.target === lines) away(); });
    lines.addEventListener("click", (event) => {
      const item = event.target.closest("li");
      if (!item) return;
      const button = event.target.closest("button");
      if (!button && String(getSelection())) return;
      let time = Number(item.dataset.s);
      if (!button) {
        wordsOf(item);
        const hit = document.elementFromPoint(event.clientX, event.clientY);
        if (hit && hit.dataset.t && item.contains(hit)) time = Number(hit.dataset.t);
        if (items.indexOf(item) !== current) withoutWords(item);
      }
      jump(time);
    });
    lines.addEventListener("keydown", (event) => {
      const shown = items.filter((item) => !item.hidden);
      const index = shown.indexOf(event.target.closest("li"));
      const to = {
        ArrowDown: index + 1,
        ArrowUp: index - 1,
        PageDown: index + 10,
        PageUp: index - 10,
        Home: 0,
        End: shown.length - 1,
      }[event.key];
      if (index < 0 || to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      away();
      const target = shown[Math.min(shown.length - 1, Math.max(0, to))];
      moveTabStop(items.indexOf(target));
      buttons(target).focus();
      target.scrollIntoView({ block: "nearest" });
    });
  }

  // Captions in the player itself, from the same text.
  let captions = null;
  function fillCaptions() {
    if (!captions) return;
    while (captions.cues && captions.cues.length) captions.removeCue(captions.cues[0]);
    for (const item of items) {
      const start = Number(item.dataset.s) - offset();
      const end = Number(item.dataset.e) - offset();
      if (end <= 0 || end <= start || (clip && start >= clip.end - clip.start)) continue;
      const text = textOf(item).textContent.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
      captions.addCue(new VTTCue(Math.max(0, start), end, text));
    }
  }
  if (items.length && player.addTextTrack && typeof VTTCue !== "undefined") {
    captions = player.addTextTrack("captions", "Transcript", lines.lang);
    // Cues of a disabled track cannot be listed.
    captions.mode = "hidden";
    fillCaptions();
  }

  function show(time) {
    if (playhead && duration > 0) {
      const at = `${Math.min(100, Math.max(0, (time / duration) * 100))}%`;
      playhead.setAttribute("x1", at);
      playhead.setAttribute("x2", at);
    }
    showMoments(time);
    if (items.length) showLine(time);
  }

  let frame = 0;
  function tick() {
    show(now());
    frame = player.paused || player.ended ? 0 : requestAnimationFrame(tick);
  }
  for (const kind of ["play", "playing"]) {
    player.addEventListener(kind, () => { if (!frame) frame = requestAnimationFrame(tick); });
  }
  for (const kind of ["timeupdate", "seeked", "pause"]) {
    player.addEventListener(kind, () => { if (wanted === null) show(now()); });
  }

  // Keys.
  const keys = byId("keys");
  const keysOn = byId("keys-on");
  function toggle() {
    if (player.paused) {
      const started = player.play();
      if (started) started.catch(() => {});
    } else player.pause();
  }
  function neighbour(step) {
    const time = now();
    const ahead = cards.find((one) => one.start > time + 0.5);
    const behind = cards.filter((one) => one.start < time - 2).pop();
    const one = step > 0 ? ahead : behind || cards[0];
    if (one) jump(one.start, { moment: one.number, play: !player.paused });
  }
  // Where the keys were pressed before the list was opened: on its summary, Space opens it again.
  let before = null;
  function toggleKeys() {
    const summary = keys.querySelector("summary");
    if (!keys.open) before = document.activeElement;
    keys.open = !keys.open;
    if (keys.open) summary.focus();
    else if (before && before !== document.body && before !== summary) before.focus();
    else summary.blur();
  }
  document.addEventListener("keydown", (event) => {
    // An open picture has the keys for itself.
    if (large.open || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") {
      if (event.target === find) {
        event.preventDefault();
        find.value = "";
        search();
        player.focus();
      } else if (keys.open) toggleKeys();
      else if (lines && lines.contains(document.activeElement)) player.focus();
      return;
    }
    if (!keysOn.checked) return;
    const target = event.target;
    if (target.closest("textarea, input, select")) return;
    // The player has keys of its own.
    if (target === player && (event.key === " " || event.key.startsWith("Arrow"))) return;
    const pressable = target.closest("button, a, summary");
    const action = {
      k: toggle,
      " ": pressable ? null : toggle,
      ArrowLeft: () => jump(now() - STEP_SECONDS, { play: !player.paused }),
      ArrowRight: () => jump(now() + STEP_SECONDS, { play: !player.paused }),
      n: () => neighbour(1),
      p: () => neighbour(-1),
      f: () => { if (items.length) setFollowing(!following); },
      t: () => { if (items.length) toTranscript(); },
      "/": () => { if (find) find.focus(); },
      "?": toggleKeys,
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  if (!whole && clips.length) load(clips[0]);
  // It may have failed before this script ran.
  if (player.error) player.dispatchEvent(new Event("error"));

  // Addresses such as page.html#t=75 and page.html#moment-2.
  const asked = /^#(?:t=(\d+(?:\.\d+)?)|moment-(\d+))$/.exec(location.hash);
  if (asked) {
    const one = asked[2] ? cards[Number(asked[2]) - 1] : null;
    if (asked[1] || one) jump(one ? one.start : Number(asked[1]), { moment: one && one.number, play: false });
  } else show(whole ? 0 : now());
})();
