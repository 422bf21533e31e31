/* The panel beside the graph: this step, pinned cards, legend; and the tooltip. */
function stepPanel() {
  const total = span(), parts = [];
  panes.forEach(pane => {
    if (!pane.d.has) return;
    const title = panes.length > 1 ? `<p class="k">${esc(pane.d.name)}</p>` : "";
    if (position === 0) {
      const start = pane.order[0];
      parts.push(`${title}<div class="now"><h3>Forward is done</h3><p class="words">Backward starts at <b>${esc(start ? start.card.n : "")}</b>`
        + ` with ∂L/∂L = 1. No other node has a gradient yet.</p></div>`);
    } else if (pane.now && position <= total) parts.push(title + nowCard(pane, pane.now));
  });
  if (position > total && total) {
    parts.push(`<p class="hint">Walk through backward: <kbd>→</kbd> <kbd>←</kbd> one step, <kbd>space</kbd> plays, <kbd>Home</kbd> goes to the start.`
      + ` Click a node to pin what is known of it, ⊞ or a double click opens it.</p>`);
  }
  document.body.classList.toggle("stepping", position <= total);
  $("step").innerHTML = parts.join("");
}

function nowCard(pane, item) {
  const card = item.card, rule = ruleOf(card), g = card.g || [], out = [];
  if (panes.length === 1) out.push(`<p class="k">Step ${pane.at} of ${pane.N}</p>`);
  out.push(`<div class="now"><h3>${esc(card.n)}</h3><p class="op">${esc(opOf(card))}${card.h ? ` · ${esc(card.h)}` : ""}</p>`);
  out.push(`<p class="words"><b>${esc(opOf(card))}</b> ${esc(rule[0])}.</p>`);
  if (rule[2]) out.push(`<div class="formula" role="math" aria-label="${esc(rule[2])}">${formula(rule[2])}</div>`);
  if (card.num) out.push(`<p class="numeric">${card.num.map(line => esc(line[1])).join("<br>")}</p>`);
  const scalar = g[4] != null, rows = [];
  rows.push([scalar ? "Gradient here" : "Arrives, RMS", num(scalar ? g[4] : g[0])]);
  for (const e of item.ins) {
    if (e.rms == null) continue;
    const parent = e.from, state = parent.wanted.length > 1;
    rows.push([`→ ${esc(parent.card.n)}`, num(pane.sent(e)) + (typeof g[0] === "number" && typeof e.rms === "number" ? times(e.rms / g[0]) : "")]);
    if (state) rows.push([`<span class="small">${pane.progress(parent, pane.at)}</span>`]);
  }
  const learned = panes.length > 1 ? [] : (card.p || []).filter(p => p[4] != null);  // two cards share the room of one
  for (const p of learned.slice(0, learned.length > 3 ? 2 : 3)) rows.push([`→ ${esc(p[0])} <span class="small">parameter</span>`, num(p[4])]);
  if (learned.length > 3) rows.push([`<span class="small">and ${learned.length - 2} more parameters</span>`]);
  out.push(`<table class="numbers"><tbody>${rows.map(r => `<tr><td${r.length < 2 ? " colspan=2" : ""}>${r.join("</td><td>")}</td></tr>`).join("")}</tbody></table></div>`);
  return out.join("");
}

function pin(pane, item) {
  const found = pins.findIndex(p => p.pane === pane && p.card === item.card);
  if (found >= 0) pins.splice(found, 1);
  else pins.unshift({pane, card: item.card});
  pinned();
}

function pinned() {
  for (const pane of panes) for (const item of pane.items) item.pin = pins.some(p => p.pane === pane && p.card === item.card);
  for (const pane of panes) pane.apply(pane.at);
  document.body.classList.toggle("pinned", pins.length > 0);
  $("pins").innerHTML = pins.map(({pane, card}, i) => cardHtml(pane, card, i)).join("");
}

function cardHtml(pane, c, i) {
  const rows = [], g = c.g, a = c.a, add = (k, v) => rows.push(`<tr><td>${k}</td><td>${v}</td></tr>`);
  if (panes.length > 1) add("Graph", esc(pane.d.name));
  add("Output", `${esc(c.h || "–")} ${esc(c.y || "")}`);
  if (c.s) add("Scope", esc(c.s));
  if (c.x > 1) add("Stands for", `${c.x} repeats`);
  if (g) {
    if (g[4] != null) add("Gradient", num(g[4]));
    else { add("Gradient RMS", num(g[0])); add("Gradient max", num(g[1])); add("Gradient zeros", percent(g[2])); }
    if (c.v != null && !c.nu) add("Relative to the reference", raised(`${arrow(c.v)} ${power(c.v)}`));
    if (g[3]) add("Gradient NaN or Inf", many(g[3]));
  } else if (pane.d.has) add("Gradient", c.m === "none" ? "none arrived" : "none wanted");
  if (a) {
    if (a[4] != null) add("Value", num(a[4]));
    else { add("Output RMS", num(a[0])); add("Output max", num(a[1])); add("Output zeros", percent(a[2])); }
    if (a[3]) add("Output NaN or Inf", many(a[3]));
    if (a[6] != null) add("Saturated outputs", percent(a[6]));
    if (a[7] != null) add("Dead units", percent(a[7]));
  }
  if (c.ms) add("Output mean ± std", `${num(c.ms[0])} ± ${num(c.ms[1])}`);
  if (c.ag) { const [n, cos, all] = c.ag; add("Contributions", n); if (cos != null) add(n > 2 ? "Mean cosine" : "Cosine", num(cos)); add("‖Σc‖/Σ‖c‖", num(all)); }
  if (c.ma) add("Multiply-adds", many(c.ma));
  if (c.sb) add("Kept for backward", `${many(c.sb)} bytes`);
  for (const [name, shape, count, rms, grad, frozen, ratio] of c.p || []) {
    add(`${esc(name)} <span class="small">${esc(shape)} = ${many(count)}${frozen ? ", frozen" : ""}</span>`,
      grad == null ? `RMS ${num(rms)}` : `∇ ${num(grad)}${typeof rms === "number" && rms > 0 && typeof grad === "number" ? ` <span class="small">${num(grad / rms)} of RMS</span>` : ""}`);
    if (ratio != null) add(`<span class="small">update ratio</span>`, num(ratio));
  }
  const list = (c.hd || []).map(n => `<li>${esc(n)}</li>`).join("") + (c.hm ? `<li>and ${many(c.hm)} more</li>` : "");
  return `<article class="card" aria-label="${esc(pane.words(c))}"><button class="close" data-i="${i}" aria-label="Unpin ${esc(c.n)}">✕</button>`
    + `<h3><span class="swatch ${c.c}"></span>${esc(c.n)}</h3><p class="small">${esc(opOf(c))}${c.fb ? " · the first gradient with NaN or Inf" : ""}${c.fo ? " · the first output with NaN or Inf" : ""}${c.src ? `<br>${esc(c.src)}` : ""}</p>`
    + histogram(g && g[5]) + `<table class="numbers"><tbody>${rows.join("")}</tbody></table>`
    + (list ? `<details><summary>Holds ${plural((c.hd || []).length + (c.hm || 0), "operation")}</summary><ul>${list}</ul></details>` : "") + "</article>";
}
const percent = x => `${+(100 * (x || 0)).toPrecision(3)} %`;
function histogram(counts) {
  if (!counts || !counts.length) return "";
  const top = Math.max(...counts) || 1, w = 100 / counts.length;
  return `<svg class="hist" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label="Gradients by sign and size, an octave a bar, 0 in the middle">`
    + counts.map((n, i) => `<rect x="${i * w}" y="${40 - 40 * n / top}" width="${w * 0.9}" height="${40 * n / top}"/>`).join("") + "</svg>";
}

const tipBox = $("tip");
const meets = a => a ? [`${a[0]} contributions meet`, a[1] == null ? "" : `${a[0] > 2 ? "mean " : ""}cosine ${num(a[1])}`, `‖Σc‖/Σ‖c‖ ${num(a[2])}`].filter(Boolean) : [];
function tip(pane, item, e, drawn) {
  const edge = drawn && drawn.ones[0];
  tipBox.hidden = !item && !edge;
  if (tipBox.hidden) return;
  if (edge) {
    tipBox.innerHTML = [`${edge.to.card.n} → ${edge.from.card.n}${edge.skip ? " (highway)" : ""}`, edge.rms == null ? "no gradient returns" : `returns RMS ${num(edge.rms)}`,
      edge.share == null ? "" : `${percent(edge.share)} of what arrives`, ...(edge.share == null ? [] : meets(edge.from.card.ag))].filter(Boolean).map(raised).join("<br>");
    return moveTip(e);
  }
  const c = item.card;
  const lines = [c.n, [opOf(c) === c.n ? "" : opOf(c), c.h].filter(Boolean).join(" · ")];
  if (pane.d.has && !c.nu) lines.push(valueWords(item.seen || c));
  if (c.g) lines.push(c.g[4] != null ? `gradient ${num(c.g[4])}` : `gradient RMS ${num(c.g[0])}`);
  lines.push(...meets(c.ag));
  if (item.state === " part") lines.push(pane.progress(item, pane.at));
  tipBox.innerHTML = lines.filter(Boolean).map(raised).join("<br>");
  moveTip(e);
}
function moveTip(e) {
  if (tipBox.hidden) return;
  const w = tipBox.offsetWidth, h = tipBox.offsetHeight;
  tipBox.style.left = Math.min(e.clientX + 14, innerWidth - w - 8) + "px";
  tipBox.style.top = (e.clientY + 18 + h > innerHeight ? e.clientY - h - 10 : e.clientY + 18) + "px";
}
