"use strict";
/* The page's behaviour. Layout, drawing and every number come from Python as JSON; here things are moved, coloured
   and counted. Positions of backward: 0 = before it, 1 … N = its steps, N + 1 = done. */
(() => {
const D = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const esc = s => String(s).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const ZERO = 9000, BAD = 9001, HEAD = 30, RIM = 14;
const LEVELS = {op: "Operations", module: "Modules", block: "Blocks", folded: "Folded"};

// ---------------------------------------------------------------- numbers and words

const raise = n => String(n).replace(/./g, c => "⁰¹²³⁴⁵⁶⁷⁸⁹"["0123456789".indexOf(c)] || (c === "-" ? "⁻" : c));
function num(x) {
  if (x == null) return "–";
  if (typeof x !== "number" || x === 0) return String(x);
  const size = Math.abs(x);
  if (size >= 0.001 && size < 1e5) return String(+x.toPrecision(3)).replace("-", "−");
  const [m, e] = x.toExponential(1).split("e");
  return `${m.replace("-", "−")}·10${raise(+e)}`;
}
const signed = v => `${v < 0 ? "−" : "+"}${Math.abs(v).toFixed(1)}`;
const power = v => Math.abs(v) < 0.05 ? "10^0" : `10^${signed(v)}`;
const raised = s => esc(s).replace(/10\^([+−-]?\d+(?:\.\d+)?)/g, "10<sup>$1</sup>");
const many = n => n.toLocaleString("en-US");
const plural = (n, word) => `${many(n)} ${word}${n === 1 ? "" : "s"}`;
const arrow = v => Math.abs(v) < 0.05 ? "●" : (v < 0 ? "▼" : "▲").repeat(Math.abs(v) > D.scale ? 2 : 1);
function times(ratio) {
  if (!isFinite(ratio) || ratio <= 0) return "";
  return ` (×${num(ratio)})`;
}
const italic = s => esc(s).replace(/(^|[^A-Za-z&#\d])([A-Za-zα-ω]\u0302?)(?![A-Za-z;])/g, "$1<i>$2</i>");
function formula(text) {
  return text.split(/, (?=∂)/).map(part => {
    const cut = part.split(/(∂[A-Za-zℓ][ᵢⱼₖₜ]?\/∂[A-Za-zα-ω][ᵢⱼₖₜ]?)/);
    const html = cut.map((s, i) => i % 2 === 0 ? italic(s)
      : `<span class="fr"><i>${esc(s.split("/")[0])}</i><i>${esc(s.split("/")[1])}</i></span>`).join("");
    return `<span class="part">${html}</span>`;
  }).join("");
}
const opOf = card => card.o || card.n;
const ruleOf = card => D.rules[opOf(card)] || ["", "", ""];
const valueWords = (card, v) => card.m === "zero" ? "gradient exactly 0" : card.m === "none" ? "no gradient arrived"
  : card.m === "nan" || card.m === "inf" ? "gradient is NaN or Inf" : v == null ? "" : `gradient ${power(v)} of the reference`;

// ---------------------------------------------------------------- one graph

class Pane {
  constructor(data, index) {
    Object.assign(this, {d: data, index, level: data.level, open: new Set(), at: 0, train: -1, hits: []});
    this.svg = $("g" + index);
    this.root = this.svg.querySelector(".root");
    this.svg.removeAttribute("viewBox");
    this.cards = data.cards;
    this.view = {x: 0, y: 0, k: 1};
    this.map = document.createElement("canvas");
    this.map.className = "map";
    this.map.hidden = true;
    this.map.setAttribute("aria-hidden", "true");
    this.svg.parentNode.append(this.map);
    this.listen();
    this.draw();
  }

  get scene() { return this.d.scenes[this.level]; }

  /* Where everything goes when some nodes are open: an open node grows to what it holds, and whatever lies to the
     right of it, or below it in its column, gives way. */
  arrange(scene, prefix) {
    const nodes = scene.nodes.map(([c, x, y, sub], i) => {
      const w = this.cards[c].w, h = this.cards[c].t;
      return {key: prefix + i, c, sub, x, y, w, h, ox: x, oy: y, ow: w, oh: h};
    });
    let columns = [-1e9, ...scene.columns, 1e9];
    const maps = [];
    for (const node of nodes) {
      if (node.sub < 0 || !this.open.has(node.key)) continue;
      node.inner = this.arrange(this.d.insides[node.sub], node.key + "/");
      const w = Math.max(node.w, node.inner.w + 2 * RIM), h = Math.max(node.h, node.inner.h + HEAD + RIM);
      const c = columns.findLastIndex(x => x <= node.x);
      const m = {l: node.x, r: node.x + node.w, t: node.y, b: node.y + node.h, dw: w - node.w, dh: h - node.h,
                 from: columns[c], to: columns[c + 1]};
      maps.push(m);
      for (const other of nodes) if (other !== node) {
        const cx = other.x + other.w / 2, cy = other.y + other.h / 2, [nx, ny] = give(m, cx, cy);
        other.x += nx - cx;
        other.y += ny - cy;
      }
      columns = columns.map(x => give(m, x, -1e9)[0]);
      node.w = w;
      node.h = h;
    }
    const through = (x, y) => maps.reduce((p, m) => give(m, ...p), [x, y]);
    const edges = scene.paths.map((path, i) => {
      const row = scene.edges[i], s = nodes[row[0]], t = nodes[row[1]];
      const [lx, ly] = through(row[8], row[9]);
      return {row, lx, ly, share: scene.shares[i], path: maps.length ? warp(path, s, t, through) : path};
    });
    const folds = (scene.folds || []).map(([x, y, w, h, text]) => {
      const [x0, y0] = through(x, y), [x1, y1] = through(x + w, y + h);
      return [x0, y0, x1 - x0, y1 - y0, text];
    });
    const right = Math.max(0, ...nodes.map(n => n.x + n.w)), was = Math.max(0, ...nodes.map(n => n.ox + n.ow));
    const below = Math.max(0, ...nodes.map(n => n.y + n.h)), wasBelow = Math.max(0, ...nodes.map(n => n.oy + n.oh));
    return {nodes, edges, folds, w: scene.w + right - was, h: scene.h + below - wasBelow};
  }

  draw() {
    const items = this.items = [], drawn = this.drawn = [], owner = new Map(), html = {e: [], n: [], f: [], l: []};
    const all = this.arrange(this.scene, ""), later = [];
    this.w = all.w;
    this.h = all.h;
    const walk = (part, dx, dy, inside) => {
      for (const [x, y, w, h, text] of part.folds) {
        html.f.push(`<rect class="fold" x="${x}" y="${y}" width="${w}" height="${h}" rx="10"/>`
          + `<text class="foldt unfold" role="button" tabindex="0" x="${x + w - 10}" y="${y + h - 8}">${text} · unfold</text>`);
      }
      for (const node of part.nodes) {
        const card = this.cards[node.c], x = node.x + dx, y = node.y + dy;
        if (node.inner) {
          html.f.push(`<g class="n frame" data-open="${node.key}" transform="translate(${x},${y})"><rect class="b"`
            + ` width="${node.w}" height="${node.h}" rx="9"/><g class="o" role="button" tabindex="0" aria-label="Close ${esc(card.n)}">`
            + `<rect x="7" y="7" width="15" height="15" rx="4"/><path d="M11,14.5h7"/></g>`
            + `<text class="t" x="28" y="19">${esc(card.n)}</text></g>`);
          walk(node.inner, x + (node.w - node.inner.w) / 2, y + HEAD, node);
        } else {
          const item = {index: items.length, card, key: node.key, sub: node.sub, x, y, w: node.w, h: node.h, outs: [], ins: []};
          node.item = item;
          items.push(item);
          for (const vertex of card.mem || []) owner.set(vertex, item);
          html.n.push(`<g class="n" data-i="${item.index}" tabindex="-1" role="button" aria-label="${esc(this.words(card))}"`
            + ` transform="translate(${x},${y})">${card.svg}</g>`);
        }
      }
      if (dx || dy) html.e.push(`<g transform="translate(${dx},${dy})">`);
      for (const edge of part.edges) {
        const [s, t] = edge.row, of = part.nodes;
        html.e.push(edge.path);
        later.push({edge, s: of[s], t: of[t], port: inside && (!of[s] || !of[t]), dx, dy});
        html.l.push(`<text class="l${edge.row[7] ? " s" : ""}" x="${edge.lx + dx}" y="${edge.ly + dy}">${edge.share}</text>`);
      }
      if (dx || dy) html.e.push("</g>");
    };
    walk(all, 0, 0, null);
    this.link(later, owner, drawn);
    this.root.innerHTML = `<g class="f">${html.f.join("")}</g><g>${html.e.join("")}</g><g>${html.l.join("")}</g>`
      + `<g class="nodes">${html.n.join("")}</g><g class="over"></g>`;
    this.over = this.root.querySelector(".over");
    this.root.querySelectorAll(".nodes>.n").forEach((el, i) => { items[i].el = el; });
    const paths = this.root.querySelectorAll(".e"), texts = this.root.querySelectorAll(".l");
    drawn.forEach((one, i) => { one.el = paths[i]; one.base = paths[i].getAttribute("class"); one.text = texts[i]; });
    if (items.length) items[0].el.setAttribute("tabindex", "0");
    this.svg.setAttribute("aria-label", `Graph of ${this.d.name}: ${plural(items.length, "node")}`);
    this.plan();
    if (this.train >= 0) this.show(this.train);
    this.apply(Math.min(this.at, this.N + 1), true);
  }

  /* Edges between what is visible. An edge into an open node is drawn in pieces, which share its state. */
  link(later, owner, drawn) {
    const logical = new Map(), leaving = new Map();
    for (const {edge, s, t, port} of later) {
      if (port) continue;
      const [, , maker, reader, slot, rms, share, skip] = edge.row;
      const from = s.item || owner.get(maker), to = t.item || owner.get(reader);
      if (!from || !to) continue;
      const one = {from, to, rms, share, skip};
      logical.set(`${maker}>${reader}:${slot}`, one);
      if (!leaving.has(maker)) leaving.set(maker, []);
      leaving.get(maker).push(one);
      edge.one = one;
      from.outs.push(one);
      to.ins.push(one);
    }
    for (const {edge, port, dx, dy} of later) {
      const [, , maker, reader, slot] = edge.row;
      const ones = !port ? (edge.one ? [edge.one] : []) : reader < 0 ? leaving.get(maker) || []
        : [logical.get(`${maker}>${reader}:${slot}`)].filter(Boolean);
      drawn.push({ones, dx, dy});
      for (const one of ones) one.drawn = drawn[drawn.length - 1];
    }
  }

  /* In which order backward visits what is visible, and when each contribution arrives. */
  plan() {
    const last = item => Math.max(-1, ...(item.card.mem || []));
    this.order = this.d.has ? this.items.filter(i => i.card.g).sort((a, b) => last(b) - last(a) || b.index - a.index) : [];
    this.N = this.order.length;
    this.order.forEach((item, i) => { item.step = i + 1; });
    for (const item of this.items) {
      item.wanted = item.outs.filter(e => e.rms != null && e.to.step);
      const steps = item.wanted.map(e => e.to.step);
      item.first = steps.length ? Math.min(...steps) : 0;
      item.whole = steps.length ? Math.max(...steps) : 0;
    }
  }

  arrived(item, k) { return item.wanted.filter(e => e.to.step <= k).length; }

  /* Show position k of backward; only what changes is touched. */
  apply(k, fresh) {
    this.at = k;
    const done = k > this.N, now = done ? null : this.order[k - 1];
    for (const item of this.items) {
      let state = "";
      if (item.step && !done) state = k < item.first ? " wait" : k < item.whole ? " part" : "";
      const cls = `n ${item.tint || item.card.c}${state}${item === now ? " now" : ""}${item.pin ? " pin" : ""}${item.hit ? " hit" : ""}`;
      if (cls !== item.cls || fresh) { item.cls = cls; item.el.setAttribute("class", cls); item.state = state; }
    }
    for (const one of this.drawn) {
      let state = "";
      const live = one.ones.filter(e => e.rms != null && e.to.step);
      if (live.length && !done) {
        state = live.some(e => e.to === now) ? " on" : live.some(e => e.to.step > k) ? " wait" : "";
      }
      if (state !== one.state || fresh) {
        one.state = state;
        one.el.setAttribute("class", one.base + state);
        one.text.setAttribute("class", `l${one.base.includes(" s") ? " s" : ""}${state}`);
      }
    }
    this.now = now;
    this.overlay(k, done);
    this.sketch();
  }

  overlay(k, done) {
    const parts = [], now = this.now;
    if (now) {
      parts.push(`<rect class="ring" x="${now.x - 3}" y="${now.y - 3}" width="${now.w + 6}" height="${now.h + 6}" rx="10"/>`);
      const taken = [];
      for (const e of now.ins) if (e.rms != null && e.drawn) parts.push(pill(...this.beside(e, taken), num(e.rms)));
    }
    if (!done) for (const item of this.items) {
      if (item.state === " part") {
        parts.push(pill(item.x + item.w / 2, item.y + item.h + 1, this.progress(item, k)));
      }
    }
    this.over.innerHTML = parts.join("");
  }

  /* A place on an edge for its contribution: near the node that sends it, and clear of the others. */
  beside(e, taken) {
    const {el, dx, dy} = e.drawn, length = el.getTotalLength();
    let from = length > 90 ? 40 : length / 2, p;
    do {
      p = el.getPointAtLength(Math.max(0, length - from));
      from += 12;
    } while (from < length && taken.some(q => Math.abs(q[0] - p.x - dx) < 84 && Math.abs(q[1] - p.y - dy) < 21));
    taken.push([p.x + dx, p.y + dy]);
    return taken[taken.length - 1];
  }

  progress(item, k) { return `${this.arrived(item, k)} of ${item.wanted.length} contributions arrived`; }

  // -------------------------------------------------------------- training

  /* Recolour by the gradients of another training step. */
  show(step) {
    const run = this.d.training;
    if (!run) return;
    step = Math.min(step, run.values.length - 1);
    this.train = step;
    const last = step === run.values.length - 1, row = run.values[step];
    for (const item of this.items) {
      const card = item.card, text = item.el.querySelector(".v");
      if (!card.g || card.nu) continue;
      if (item.text === undefined) item.text = text ? text.innerHTML : "";
      if (last) {
        item.tint = null;
        item.v = card.v;
        if (text) text.innerHTML = item.text;
      } else {
        const all = (card.out || []).map(v => row[v]).filter(v => v != null), known = all.filter(v => v < ZERO).sort((a, b) => a - b);
        item.v = known.length ? known[known.length >> 1] / 100 : null;
        const colour = all.includes(BAD) ? "bad" : item.v == null ? (all.includes(ZERO) ? "zero" : "plain") : tint(item.v);
        item.tint = colour + card.c.replace(/^\S+/, "");
        const low = known.length ? power(known[0] / 100) : "", high = known.length ? power(known[known.length - 1] / 100) : "";
        if (text) text.innerHTML = item.v == null ? (colour === "bad" ? "NaN" : "0 exactly")
          : svgPowers(`${arrow(item.v)} ${low === high ? low : `${low} … ${high}`}`);
      }
      const cells = item.el.querySelectorAll(".s rect:not(.f)");
      const of = card.x > 1 ? card.out : card.mem;
      if (cells.length && of && cells.length === of.length) cells.forEach((cell, i) => {
        if (!cell.dataset.c) cell.dataset.c = cell.getAttribute("class");
        const v = row[of[i]];
        cell.setAttribute("class", last ? cell.dataset.c : v == null ? cell.dataset.c : v === ZERO ? "zero" : v === BAD ? "bad" : tint(v / 100));
      });
    }
    this.apply(this.at);
  }

  // -------------------------------------------------------------- camera

  get size() { const r = this.svg.getBoundingClientRect(); return [r.width || 800, r.height || 500]; }

  fit(readable) {
    const [w, h] = this.size, whole = Math.min(1.25, (w - 36) / this.w, (h - 36) / this.h);
    let k = whole;
    if (readable && whole < 0.8) k = Math.max(whole, Math.min(0.9, (w - 36) / Math.min(this.w, 1200)));
    this.whole = whole;
    const room = (size, length) => length * k <= size - 28 ? (size - length * k) / 2 : 18;
    this.look(room(w, this.w), room(h, this.h) + (this.two && whole === k ? 8 : 0), k);
  }

  look(x, y, k, smooth) {
    cancelAnimationFrame(this.gliding);
    const set = (x, y, k) => {
      this.view = {x, y, k};
      this.root.setAttribute("transform", `translate(${x.toFixed(1)},${y.toFixed(1)}) scale(${k.toFixed(4)})`);
    };
    if (!smooth || calm.matches) { set(x, y, k); this.sketch(); return; }
    const from = {...this.view}, begin = performance.now(), time = 220;
    const tick = now => {
      const p = Math.min(1, Math.max(0, (now - begin) / time)), q = 1 - (1 - p) ** 3;
      set(from.x + (x - from.x) * q, from.y + (y - from.y) * q, from.k + (k - from.k) * q);
      if (p < 1) this.gliding = requestAnimationFrame(tick);
      else this.sketch();
    };
    this.gliding = requestAnimationFrame(tick);
  }

  zoom(factor, cx, cy, smooth) {
    const [w, h] = this.size, {x, y, k} = this.view, to = Math.min(4, Math.max(0.04, k * factor));
    cx ??= w / 2;
    cy ??= h / 2;
    this.look(cx - (cx - x) * to / k, cy - (cy - y) * to / k, to, smooth);
  }

  /* Bring a node into view, if it is not well inside it. */
  reveal(item, smooth = true) {
    const [w, h] = this.size, {x, y, k} = this.view, px = x + (item.x + item.w / 2) * k, py = y + (item.y + item.h / 2) * k;
    const rim = 70 * Math.min(1, k), near = px > rim && py > rim && px < w - rim && py < h - rim;
    if (near && k > 0.35) return;
    const to = Math.max(k, 0.85);  // the graph fills the window: no empty margin where there is more to see
    const at = (room, size, middle) => size * to <= room - 28 ? (room - size * to) / 2
      : Math.max(room - 18 - size * to, Math.min(18, room / 2 - middle * to));
    this.look(at(w, this.w, item.x + item.w / 2), at(h, this.h, item.y + item.h / 2), to, smooth);
  }

  /* The map in the corner: the whole graph in colour, and the part of it that is in view. */
  sketch() {
    const {x, y, k} = this.view, [w, h] = this.size, whole = Math.min((w - 36) / this.w, (h - 36) / this.h);
    this.map.hidden = k < whole * 1.15;
    if (this.map.hidden) return;
    const s = Math.min(190 / this.w, 130 / this.h), ratio = devicePixelRatio || 1;
    const mw = Math.max(30, this.w * s) + 8, mh = Math.max(30, this.h * s) + 8;
    Object.assign(this.map, {width: mw * ratio, height: mh * ratio});
    Object.assign(this.map.style, {width: mw + "px", height: mh + "px"});
    this.mapScale = s;
    const pen = this.map.getContext("2d"), colours = palette();
    pen.scale(ratio, ratio);
    pen.translate(4, 4);
    for (const item of this.items) {
      pen.fillStyle = item.state ? colours.wait : colours[item.cls.split(" ")[1]] || colours.plain;
      pen.fillRect(item.x * s, item.y * s, Math.max(1.5, item.w * s), Math.max(1.5, item.h * s));
    }
    pen.strokeStyle = colours.accent;
    pen.lineWidth = 1.5;
    pen.strokeRect(-x / k * s, -y / k * s, w / k * s, h / k * s);
    if (this.now) {
      pen.fillStyle = colours.accent;
      pen.fillRect(this.now.x * s - 1, this.now.y * s - 1, this.now.w * s + 2, this.now.h * s + 2);
    }
  }

  // -------------------------------------------------------------- pointer and keys on the graph

  listen() {
    const {svg} = this, touches = new Map();
    let start = null, moved = false, pinch = 0;
    svg.addEventListener("pointerdown", e => {
      touches.set(e.pointerId, [e.clientX, e.clientY]);
      start = {x: e.clientX - this.view.x, y: e.clientY - this.view.y};
      moved = false;
    });
    addEventListener("pointermove", e => {
      if (!touches.has(e.pointerId)) return;
      const before = touches.get(e.pointerId);
      if (!moved && Math.hypot(e.clientX - before[0], e.clientY - before[1]) < 4) return;
      moved = true;
      touches.set(e.pointerId, [e.clientX, e.clientY]);
      if (touches.size === 2) {
        const [a, b] = [...touches.values()], wide = Math.hypot(a[0] - b[0], a[1] - b[1]), r = svg.getBoundingClientRect();
        if (pinch) this.zoom(wide / pinch, (a[0] + b[0]) / 2 - r.left, (a[1] + b[1]) / 2 - r.top);
        pinch = wide;
      } else this.look(e.clientX - start.x, e.clientY - start.y, this.view.k);
    });
    for (const name of ["pointerup", "pointercancel"]) addEventListener(name, e => { touches.delete(e.pointerId); pinch = 0; });
    svg.addEventListener("wheel", e => {
      e.preventDefault();
      const r = svg.getBoundingClientRect();
      this.zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0016)), e.clientX - r.left, e.clientY - r.top);
    }, {passive: false});
    svg.addEventListener("click", e => {
      if (moved) return;
      if (e.target.closest(".unfold")) return setLevel("block");
      const frame = e.target.closest(".frame"), item = this.itemAt(e.target);
      if (e.target.closest(".o") && (frame || item)) this.toggle(frame ? frame.dataset.open : item.key);
      else if (item) pin(this, item);
    });
    svg.addEventListener("dblclick", e => {
      const item = this.itemAt(e.target);
      if (item && item.sub >= 0) this.toggle(item.key);
    });
    svg.addEventListener("pointerover", e => { const item = this.itemAt(e.target); this.hover(item); tip(this, item, e); });
    svg.addEventListener("pointermove", e => moveTip(e));
    svg.addEventListener("pointerleave", () => { this.hover(null); tip(this, null); });
    svg.addEventListener("focusin", e => { const item = this.itemAt(e.target); if (item) this.reveal(item); });
    svg.addEventListener("keydown", e => {
      const item = this.itemAt(e.target), press = e.key === "Enter" || e.key === " ";
      if (e.target.closest(".unfold") && press) { e.preventDefault(); e.stopPropagation(); return setLevel("block"); }
      const frame = e.target.closest(".frame");
      if (frame && press) { e.preventDefault(); e.stopPropagation(); return this.toggle(frame.dataset.open); }
      if (!item) return;
      if (e.key === "Enter") pin(this, item);
      else if (e.key === "o" && item.sub >= 0) this.toggle(item.key);
      else if (e.key === "ArrowUp" || e.key === "ArrowDown") {
        const up = e.key === "ArrowUp", edges = up ? item.ins : item.outs, step = up ? -1 : 1;
        const to = edges.length ? (up ? edges[0].from : edges[0].to) : this.items[item.index + step];
        if (to) this.focus(to);
      } else return;
      e.preventDefault();
      e.stopPropagation();
    });
    this.map.addEventListener("click", e => {
      const r = this.map.getBoundingClientRect(), [w, h] = this.size, k = this.view.k, s = this.mapScale;
      this.look(w / 2 - (e.clientX - r.left - 4) / s * k, h / 2 - (e.clientY - r.top - 4) / s * k, k, true);
    });
  }

  itemAt(target) {
    const el = target.closest && target.closest(".n[data-i]");
    return el ? this.items[+el.dataset.i] : null;
  }

  focus(item) {
    for (const other of this.items) other.el.setAttribute("tabindex", other === item ? "0" : "-1");
    item.el.focus();
  }

  toggle(key) {
    const vertex = (this.items.find(i => i.key === key) || {card: {}}).card.mem;
    if (!this.open.delete(key)) this.open.add(key);
    else for (const other of [...this.open]) if (other.startsWith(key + "/")) this.open.delete(other);
    const pinned = new Set(this.items.filter(i => i.pin).map(i => i.key)), fraction = this.at / (this.N + 1);
    this.draw();
    for (const item of this.items) item.pin = pinned.has(item.key);
    resize(fraction);
    const item = this.items.find(i => i.key === key) || (vertex && this.items.find(i => (i.card.mem || [])[0] === vertex[0]));
    if (item) { this.focus(item); this.reveal(item); }
  }

  /* Keep only what leads to a node and what it leads to. */
  hover(item) {
    if (item === this.hovered) return;
    this.hovered = item;
    for (const one of this.lit || []) one.classList.remove("rel");
    this.lit = [];
    this.root.classList.toggle("focus", !!item);
    if (!item) return;
    const related = new Set([item]), edges = new Set();
    for (const [list, end] of [["ins", "from"], ["outs", "to"]]) {
      const stack = [item], seen = new Set(stack);
      while (stack.length) for (const e of stack.pop()[list]) {
        edges.add(e);
        if (!seen.has(e[end])) { seen.add(e[end]); related.add(e[end]); stack.push(e[end]); }
      }
    }
    for (const one of related) this.lit.push(one.el);
    for (const one of this.drawn) if (one.ones.some(e => edges.has(e))) this.lit.push(one.el, one.text);
    for (const el of this.lit) el.classList.add("rel");
  }

  words(card) {
    const parts = [card.n, opOf(card) !== card.n ? opOf(card) : "", card.h ? `output ${card.h.replace(/×/g, " by ")}` : ""];
    if (card.pc) parts.push(plural(card.pc, "parameter"));
    if (this.d.has) parts.push(valueWords(card, card.v));
    return parts.filter(Boolean).join(", ");
  }
}

function give(m, x, y) {
  const along = (v, low, high, more) => v <= low ? v : v >= high ? v + more : v + more * (v - low) / (high - low);
  return [along(x, m.l, m.r, m.dw), x >= m.from && x < m.to ? along(y, m.t, m.b, m.dh) : y];
}

/* The path of an edge when nodes have moved: its ends stay at their nodes, the rest gives way. */
function warp(path, s, t, through) {
  return path.replace(/ d="([^"]*)"/, (_, d) => {
    const points = [...d.matchAll(/(-?\d+),(-?\d+)/g)].map(m => [+m[1], +m[2]]);
    const end = (node, [x, y], bottom) => {
      if (!node) return through(x, y);
      if (Math.abs(x - node.ox - node.ow) < 3) return [node.x + node.w, node.y + y - node.oy + (node.h - node.oh) / 2];
      if (Math.abs(x - node.ox) < 3) return [node.x, node.y + y - node.oy + (node.h - node.oh) / 2];
      const part = (x - node.ox) / node.ow;
      return [node.x + part * node.w, bottom ? node.y + node.h + y - node.oy - node.oh : node.y + y - node.oy];
    };
    const a = points[0], b = points[points.length - 1], na = end(s, a, true), nb = end(t, b, false);
    let i = 0;
    return ` d="${d.replace(/(-?\d+),(-?\d+)/g, (_, x, y) => {
      const at = i++, first = at < points.length / 2, [ox, oy] = first ? a : b, [nx, ny] = first ? na : nb;
      let [px, py] = through(+x, +y);
      if (+x === ox) px = nx;
      if (+y === oy) py = ny;
      return `${Math.round(px)},${Math.round(py)}`;
    })}"`;
  });
}

function pill(x, y, text) {
  const w = text.length * 6.1 + 16;
  return `<g class="pill" transform="translate(${x},${y})"><rect x="${-w / 2}" y="-9" width="${w}" height="18" rx="9"/><text y="3.6">${esc(text)}</text></g>`;
}
const tint = v => `c${D.bins + Math.round(Math.max(-1, Math.min(1, v / D.scale)) * D.bins)}`;
const svgPowers = s => esc(s).replace(/10\^([+−-]?\d+(?:\.\d+)?)/g, '10<tspan class="x" dy="-4">$1</tspan><tspan dy="4">&#8203;</tspan>');

let colours = {};
function palette() {
  const theme = document.documentElement.dataset.theme;
  if (colours.theme === theme) return colours;
  colours = {theme};
  const style = getComputedStyle(document.documentElement), probe = document.createElement("i");
  for (const [key, name] of Object.entries({plain: "neutral", zero: "zero", bad: "bad", none: "waitline", wait: "waitline", accent: "accent"})) {
    colours[key] = style.getPropertyValue("--" + name).trim();
  }
  document.body.append(probe);
  for (let i = 0; i <= 2 * D.bins; i++) {
    probe.className = "c" + i;
    colours["c" + i] = getComputedStyle(probe).getPropertyValue("--f").trim();
  }
  probe.remove();
  return colours;
}

// ---------------------------------------------------------------- the panel beside the graph

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
  $("step").innerHTML = parts.join("");
}

function nowCard(pane, item) {
  const card = item.card, rule = ruleOf(card), g = card.g || [], out = [];
  if (panes.length === 1) out.push(`<p class="k">Step ${pane.at} of ${pane.N}</p>`);
  out.push(`<div class="now"><h3>${esc(card.n)}</h3><p class="op">${esc(opOf(card))}${card.h ? ` · ${esc(card.h)}` : ""}</p>`);
  out.push(`<p class="words"><b>${esc(opOf(card))}</b> ${esc(rule[0])}.</p>`);
  if (rule[2]) out.push(`<div class="formula" role="math" aria-label="${esc(rule[2])}">${formula(rule[2])}</div>`);
  if (card.num) out.push(`<p class="numeric">${card.num.map(esc).join("<br>")}</p>`);
  const scalar = g[4] != null, rows = [];
  rows.push([scalar ? "Gradient here" : "Arrives, RMS", num(scalar ? g[4] : g[0])]);
  for (const e of item.ins) {
    if (e.rms == null) continue;
    const parent = e.from, state = parent.wanted.length > 1 ? `<br><span class="small">${pane.progress(parent, pane.at)}</span>` : "";
    rows.push([`→ ${esc(parent.card.n)}${state}`, num(e.rms) + (typeof g[0] === "number" && typeof e.rms === "number" ? times(e.rms / g[0]) : "")]);
  }
  for (const p of (card.p || []).slice(0, 6)) if (p[4] != null) rows.push([`→ ${esc(p[0])} <span class="small">parameter</span>`, num(p[4])]);
  out.push(`<table class="numbers"><tbody>${rows.map(r => `<tr><td>${r[0]}</td><td>${r[1]}</td></tr>`).join("")}</tbody></table></div>`);
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
    if (a[6] != null) add("Saturated units", percent(a[6]));
  }
  if (c.ma) add("Multiply-adds", many(c.ma));
  for (const [name, shape, count, rms, grad, frozen] of c.p || []) {
    add(`${esc(name)} <span class="small">${esc(shape)} = ${many(count)}${frozen ? ", frozen" : ""}</span>`,
      grad == null ? `RMS ${num(rms)}` : `∇ ${num(grad)}${typeof rms === "number" && rms > 0 && typeof grad === "number" ? ` <span class="small">${num(grad / rms)} of RMS</span>` : ""}`);
  }
  const list = (c.hd || []).map(n => `<li>${esc(n)}</li>`).join("") + (c.hm ? `<li>and ${many(c.hm)} more</li>` : "");
  return `<article class="card" aria-label="${esc(pane.words(c))}"><button class="close" data-i="${i}" aria-label="Unpin ${esc(c.n)}">✕</button>`
    + `<h3><span class="swatch ${c.c}"></span>${esc(c.n)}</h3><p class="small">${esc(opOf(c))}${c.fb ? " · the first gradient with NaN or Inf" : ""}${c.fo ? " · the first output with NaN or Inf" : ""}</p>`
    + histogram(g && g[5]) + `<table class="numbers"><tbody>${rows.join("")}</tbody></table>`
    + (list ? `<details><summary>Holds ${plural((c.hd || []).length + (c.hm || 0), "operation")}</summary><ul>${list}</ul></details>` : "") + "</article>";
}
const percent = x => `${+(100 * (x || 0)).toPrecision(3)} %`;
function histogram(counts) {
  if (!counts || !counts.length) return "";
  const top = Math.max(...counts) || 1, w = 100 / counts.length;
  return `<svg class="hist" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label="Histogram of the gradient">`
    + counts.map((n, i) => `<rect x="${i * w}" y="${40 - 40 * n / top}" width="${w * 0.9}" height="${40 * n / top}"/>`).join("") + "</svg>";
}

function legend() {
  const pane = panes[0], has = panes.some(p => p.d.has), parts = [];
  if (has) {
    const cells = Array.from({length: 2 * D.bins + 1}, (_, i) => `<i class="c${i}"></i>`).join("");
    const ticks = D.ticks.map(([v, t]) => `<span style="left:${50 + 50 * v / D.scale}%">${raised(t)}</span>`).join("");
    parts.push(`<div class="bar" role="img" aria-label="Colour scale: blue vanishing, white like the reference, red exploding, ${D.scale} decades each way">${cells}</div>`
      + `<div class="ticks">${ticks}</div><div class="ends"><span>▼ vanishing</span><span>${esc(D.middle)}</span><span>exploding ▲</span></div>`);
    parts.push(panes.map(p => `<div>${esc(panes.length > 1 ? `${p.d.name}: ${p.d.caption}` : p.d.caption)}</div>`).join(""));
  }
  const rows = new Map();
  for (const p of panes) for (const [key, text] of p.d.legend) rows.set(key, text);
  const samples = {
    width: '<path d="M0,6.5L22,3L22,10Z" style="fill:var(--edge)"/>', skip: '<path d="M0,6.5H22" style="stroke:var(--skip);stroke-width:3.5"/>',
    strip: [6, 13, 20, 27].map((c, i) => `<rect class="c${c}" x="${i * 5.5}" y="2" width="5.5" height="9" style="fill:var(--f)"/>`).join(""),
    zero: '<rect x="1" y="1" width="20" height="11" rx="3" style="fill:var(--zero);stroke:var(--border)"/>',
    none: '<rect x="1" y="1" width="20" height="11" rx="3" style="fill:var(--wait);stroke:var(--border);stroke-dasharray:3 2"/>',
    bad: '<rect x="1" y="1" width="20" height="11" rx="3" style="fill:var(--bad);stroke:var(--border)"/>', clipped: "",
  };
  parts.push(`<ul>${[...rows].map(([key, text]) => `<li><svg width="22" height="13" aria-hidden="true">${samples[key] || ""}</svg><span>${esc(text)}</span></li>`).join("")}</ul>`);
  $("legend").innerHTML = parts.join("");
}

const tipBox = $("tip");
function tip(pane, item, e) {
  tipBox.hidden = !item;
  if (!item) return;
  const c = item.card, v = item.v === undefined ? c.v : item.v;
  const lines = [c.n, [opOf(c) === c.n ? "" : opOf(c), c.h].filter(Boolean).join(" · ")];
  if (pane.d.has && !c.nu) lines.push(valueWords(c, v));
  if (c.g) lines.push(c.g[4] != null ? `gradient ${num(c.g[4])}` : `gradient RMS ${num(c.g[0])}`);
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

// ---------------------------------------------------------------- stepping

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
    Object.assign(pane, {level: at, open: new Set(), hovered: null, lit: []});
    pane.at = Infinity;
    pane.draw();
    pane.fit(true);
  }
  pinned();
  resize(fraction);
  search();
  for (const button of $("levels").children) {
    const on = button.dataset.level === name;
    button.setAttribute("aria-checked", on);
    button.tabIndex = on ? 0 : -1;
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
  document.documentElement.dataset.theme = name;
  $("theme").setAttribute("aria-pressed", name === "dark");
  if (panes) for (const pane of panes) pane.sketch();
}

let panes = null;
const system = matchMedia("(prefers-color-scheme: dark)");
theme(system.matches ? "dark" : "light");
system.addEventListener("change", e => theme(e.matches ? "dark" : "light"));
panes = D.panes.map((d, i) => new Pane(d, i));
for (const pane of panes) pane.two = panes.length > 1;
const levelNames = [...new Set(D.panes.flatMap(p => p.scenes.map(s => s.name)))].sort((a, b) => Object.keys(LEVELS).indexOf(a) - Object.keys(LEVELS).indexOf(b));
$("levels").innerHTML = levelNames.map(n => `<button role="radio" data-level="${n}" aria-checked="${n === panes[0].scene.name}" tabindex="${n === panes[0].scene.name ? 0 : -1}">${LEVELS[n]}</button>`).join("");
$("levels").hidden = levelNames.length < 2;
$("levels").style.display = levelNames.length < 2 ? "none" : "";
legend();

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
for (const pane of panes) pane.fit(true);

$("first").onclick = () => { play(false); go(0); };
$("prev").onclick = () => { play(false); go(position - 1); };
$("next").onclick = () => { play(false); go(position + 1); };
$("last").onclick = () => { play(false); go(span() + 1); };
$("play").onclick = () => play();
$("slider").addEventListener("input", e => { play(false); go(+e.target.value); });
$("search").addEventListener("input", () => search());
$("in").onclick = () => panes.forEach(p => p.zoom(1.3, undefined, undefined, true));
$("out").onclick = () => panes.forEach(p => p.zoom(1 / 1.3, undefined, undefined, true));
$("fit").onclick = () => panes.forEach(p => p.fit());
$("theme").onclick = () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
$("levels").addEventListener("click", e => { if (e.target.dataset.level) setLevel(e.target.dataset.level); });
$("pins").addEventListener("click", e => {
  const button = e.target.closest(".close");
  if (button) { pins.splice(+button.dataset.i, 1); pinned(); }
});
let was = panes.map(p => p.size.join());
addEventListener("resize", () => {
  panes.forEach((p, i) => { const now = p.size.join(); if (now !== was[i]) { was[i] = now; p.fit(true); } });
});
let before = null;
addEventListener("beforeprint", () => {
  before = {theme: document.documentElement.dataset.theme, views: panes.map(p => ({...p.view}))};
  theme("light");
  for (const pane of panes) { pane.svg.setAttribute("viewBox", `-10 -10 ${pane.w + 20} ${pane.h + 20}`); pane.look(0, 0, 1); }
});
addEventListener("afterprint", () => {
  if (!before) return;
  theme(before.theme);
  panes.forEach((p, i) => { p.svg.removeAttribute("viewBox"); p.look(before.views[i].x, before.views[i].y, before.views[i].k); });
});
addEventListener("keydown", e => {
  const field = e.target.tagName === "INPUT", typing = field && e.target.type === "search";
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (typing) {
    if (e.key === "Enter") { e.preventDefault(); search(e.shiftKey ? -1 : 1); }
    if (e.key === "Escape") { e.target.value = ""; search(); e.target.blur(); }
    return;
  }
  const onButton = e.target.tagName === "BUTTON";
  if (e.target.closest && e.target.closest("[role=radiogroup]") && e.key.startsWith("Arrow")) {
    const all = [...$("levels").children], at = all.indexOf(e.target) + (e.key === "ArrowRight" || e.key === "ArrowDown" ? 1 : -1);
    const to = all[(at + all.length) % all.length];
    e.preventDefault();
    setLevel(to.dataset.level);
    to.focus();
    return;
  }
  if (field && (e.key.startsWith("Arrow") || e.key === "Home" || e.key === "End")) return;
  const act = {
    ArrowRight: () => { play(false); go(position + 1); }, ArrowLeft: () => { play(false); go(position - 1); },
    Home: () => { play(false); go(0); }, End: () => { play(false); go(span() + 1); }, " ": onButton ? null : () => play(),
    "+": () => $("in").click(), "=": () => $("in").click(), "-": () => $("out").click(), "0": () => $("fit").click(),
    "/": () => $("search").focus(), Escape: () => { pins.length = 0; pinned(); },
  }[e.key];
  if (act) { e.preventDefault(); act(); }
});
})();
