/* Stepping, levels, search, and what the controls do. */
let position = 0, timer = 0;
const pins = [];
const span = () => Math.max(0, ...panes.map(p => p.N));
const placeIn = (pane, at, total) => at === 0 ? 0 : at > total ? pane.N + 1 : Math.max(1, Math.round(at * pane.N / total));

function go(at, quiet) {
  const total = span();
  position = Math.max(0, Math.min(total + 1, at));
  for (const pane of panes) {
    pane.apply(placeIn(pane, position, total));
    if (pane.now && !quiet) pane.reveal(pane.now, !timer);
  }
  $("slider").value = position;
  const text = position === 0 ? "before backward" : position > total ? "backward done" : `step ${position} of ${total}`;
  $("count").textContent = text;
  $("slider").setAttribute("aria-valuetext", text);
  $("strips").querySelectorAll(".strip").forEach((strip, i) => {
    const k = panes[+strip.dataset.p].at, n = panes[+strip.dataset.p].N;
    strip.childNodes.forEach((cell, j) => cell.classList.toggle("off", k <= n && +cell.dataset.k > k));
  });
  stepPanel();
  if (!timer && total) $("live").textContent = announce(text, total);
}

function announce(text, total) {
  const now = position > 0 && position <= total ? panes.filter(p => p.now) : [];
  return [text, ...now.map(p => {
    const c = p.now.card, partial = p.now.ins.filter(e => e.rms != null && e.from.wanted.length > 1).map(e => `${e.from.card.n}: ${p.progress(e.from, p.at)}`);
    return [`${c.n}: ${opOf(c)} ${ruleOf(c)[0]}`, ...partial].join(". ");
  })].join(". ");
}

/* After the graph has changed: sliders, strips, and the same place in backward. */
function resize(fraction) {
  const total = span();
  $("transport").hidden = !total;
  $("slider").max = total + 1;
  $("strips").innerHTML = panes.filter(p => p.N).map(p => {
    const every = Math.max(1, Math.ceil(p.N / 400)), cells = [];
    for (let k = 1; k <= p.N; k += every) {
      const item = p.order[k - 1];
      cells.push(`<i class="${item.card.nu ? "plain" : (item.tint || item.card.c).split(" ")[0]}" data-k="${k}"></i>`);
    }
    return `<div class="strip" data-p="${p.index}">${cells.join("")}</div>`;
  }).join("");
  go(fraction >= 1 ? total + 1 : Math.round(fraction * (total + 1)), true);
}

function play(on = !timer) {
  clearInterval(timer);
  timer = 0;
  if (on && span()) {
    if (position > span()) go(0);
    const pace = Math.max(70, Math.min(800, 40000 / span()));
    timer = setInterval(() => { if (position > span()) play(false); else go(position + 1); }, pace);
  }
  $("play").lastChild.textContent = timer ? "Pause" : "Play";
  $("play").setAttribute("aria-label", timer ? "Pause" : "Play");
}

function setLevel(name) {
  const fraction = position / (span() + 1);
  for (const pane of panes) {
    const at = pane.d.scenes.findIndex(s => s.name === name);
    if (at < 0 || at === pane.level) continue;
    Object.assign(pane, {level: at, open: new Set()});
    pane.at = Infinity;
    pane.draw();
  }
  for (const pane of panes) pane.fit(true);
  pinned();
  resize(fraction);
  search();
  for (const button of $("levels").children) {
    button.setAttribute("aria-pressed", button.dataset.level === name);
  }
}

// ---------------------------------------------------------------- search

let hit = -1;
function search(move) {
  const wanted = $("search").value.trim().toLowerCase(), hits = [];
  for (const pane of panes) {
    for (const item of pane.items) {
      const c = item.card;
      item.hit = !!wanted && [c.n, opOf(c), c.s || "", ...(c.hd || []), ...(c.p || []).map(p => p[0])].some(t => t.toLowerCase().includes(wanted));
      if (item.hit) hits.push([pane, item]);
    }
    pane.root.classList.toggle("seek", !!wanted);
    pane.apply(pane.at);
  }
  hit = wanted && hits.length ? (move ? (hit + move + hits.length) % hits.length : 0) : -1;
  $("found").textContent = !wanted ? "" : hits.length ? `${hit + 1}/${hits.length}` : "none";
  if (hit >= 0) hits[hit][0].reveal(hits[hit][1]);
}

// ---------------------------------------------------------------- begin

function theme(name) {
  sheet.dataset.theme = name;
  $("theme").value = name;
  if (panes) for (const pane of panes) pane.sketch();
}

let panes = null;
const system = matchMedia("(prefers-color-scheme: dark)");
const follow = () => theme(D.theme !== "light" ? D.theme : system.matches ? "dark" : "light");
follow();
system.addEventListener("change", follow);
panes = D.panes.map((d, i) => new Pane(d, i));
const levelNames = [...new Set(D.panes.flatMap(p => p.scenes.map(s => s.name)))].sort((a, b) => Object.keys(LEVELS).indexOf(a) - Object.keys(LEVELS).indexOf(b));
$("levels").innerHTML = levelNames.map(n => `<button data-level="${n}" aria-pressed="${n === panes[0].scene.name}">${LEVELS[n]}</button>`).join("");
$("levels").style.display = levelNames.length < 2 ? "none" : "";

const run = panes.map(p => p.d.training).find(Boolean);
if (run) {
  const most = Math.max(...panes.map(p => p.d.training ? p.d.training.values.length : 0)) - 1;
  Object.assign($("train"), {max: most, value: most});
  $("trainbar").hidden = false;
  const losses = run.loss.map(x => typeof x === "number" ? x : 0), top = Math.max(...losses), low = Math.min(...losses);
  const at = i => `${100 * i / (losses.length - 1)},${20 - 18 * (losses[i] - low) / (top - low || 1)}`;
  const training = () => {
    const i = +$("train").value;
    for (const pane of panes) pane.show(i);
    const shown = panes.filter(p => p.d.training).map(p => {
      const j = Math.min(i, p.d.training.step.length - 1);
      return `step ${p.d.training.step[j]}, loss ${num(p.d.training.loss[j])}`;
    });
    $("trained").textContent = [...new Set(shown)].join("  |  ");
    $("train").setAttribute("aria-valuetext", $("trained").textContent);
    document.body.classList.toggle("earlier", i < most);  // what is known of the last step alone is hidden, or says so
    $("curve").setAttribute("viewBox", "0 0 100 22");
    const x = 100 * Math.min(i, losses.length - 1) / (losses.length - 1);
    $("curve").innerHTML = `<path d="M${losses.map((_, j) => at(j)).join("L")}"/><line x1="${x}" x2="${x}" y1="0" y2="22"/>`;
    resize(position / (span() + 1));
  };
  position = span() + 1;
  $("train").addEventListener("input", training);
  training();
}

resize(1);
const refit = () => { for (const pane of panes) pane.room = null; for (const pane of panes) pane.fit(true); };
refit();

const walk = {first: () => go(0), prev: () => go(position - 1), next: () => go(position + 1), last: () => go(span() + 1)};
for (const way in walk) $(way).onclick = () => { play(false); walk[way](); };
$("play").onclick = () => play();
$("slider").addEventListener("input", e => { play(false); go(+e.target.value); });
$("search").addEventListener("input", () => search());
$("in").onclick = () => panes.forEach(p => p.zoom(1.3, undefined, undefined, true));
$("out").onclick = () => panes.forEach(p => p.zoom(1 / 1.3, undefined, undefined, true));
$("fit").onclick = () => panes.forEach(p => p.fit());
$("theme").onchange = e => theme(e.target.value);
for (const [on, off] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
  $("beside").addEventListener(on, e => { const way = e.target.closest(".way"); if (way) panes[way.dataset.p].way(way.dataset.e.split(" ")); });
  $("beside").addEventListener(off, () => panes.forEach(p => p.light()));
}
$("levels").addEventListener("click", e => { if (e.target.dataset.level) setLevel(e.target.dataset.level); });
$("pins").addEventListener("click", e => {
  const button = e.target.closest(".close");
  if (button) { pins.splice(+button.dataset.i, 1); pinned(); }
});
addEventListener("resize", refit);
let before = null;
addEventListener("beforeprint", () => {
  if (before) return;
  before = {theme: sheet.dataset.theme, views: panes.map(p => ({...p.view}))};
  theme("light");
  for (const pane of panes) { pane.svg.setAttribute("viewBox", `-10 -10 ${pane.w + 20} ${pane.h + 20}`); pane.look(0, 0, 1); pane.box.classList.remove("live"); }
});
addEventListener("afterprint", () => {
  if (!before) return;
  theme(before.theme);
  panes.forEach((p, i) => { p.svg.removeAttribute("viewBox"); p.box.classList.add("live"); p.look(before.views[i].x, before.views[i].y, before.views[i].k); });
  before = null;
});
addEventListener("keydown", e => {
  const field = ["INPUT", "SELECT"].includes(e.target.tagName), typing = field && e.target.type === "search";
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (typing) {
    if (e.key === "Enter") { e.preventDefault(); search(e.shiftKey ? -1 : 1); }
    if (e.key === "Escape") { e.target.value = ""; search(); e.target.blur(); }
    return;
  }
  const onButton = e.target.tagName === "BUTTON";
  if (field && (e.key.startsWith("Arrow") || e.key === "Home" || e.key === "End")) return;
  const act = {
    ArrowRight: $("next").onclick, ArrowLeft: $("prev").onclick, Home: $("first").onclick, End: $("last").onclick, " ": onButton ? null : () => play(),
    "+": () => $("in").click(), "=": () => $("in").click(), "-": () => $("out").click(), "0": () => $("fit").click(),
    "/": () => $("search").focus(), Escape: () => { pins.length = 0; pinned(); },
  }[e.key];
  if (act) { e.preventDefault(); act(); }
});
