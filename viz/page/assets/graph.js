/* The gradients of an earlier training step in one node: colour, mark and words, of several as a fold has them. */
function told(all) {
  const known = all.filter(v => v < ZERO).map(v => v / 100).sort((a, b) => a - b), n = all.filter(v => v <= ZERO).length;
  const mark = all.includes(NAN) ? "nan" : all.includes(INF) ? "inf" : all.includes(ZERO) ? "zero" : "";
  if (!known.length) return {v: null, m: mark, words: mark ? MARKS[mark][0] : ""};
  const sized = [...Array(n - known.length).fill(-Infinity), ...known], v = (sized[(n - 1) >> 1] + sized[n >> 1]) / 2;
  const lost = v === -Infinity, m = mark === "zero" && !lost ? "" : mark, high = power(known[known.length - 1]);
  const low = mark ? MARKS[mark][1] : power(known[0]), range = low === high ? low : `${low} … ${high}`;
  return {v: lost ? null : v, m, words: m ? range : `${arrow(v)} ${range}`};
}
/* One graph: where its nodes are, how backward goes through them, and how it looks at each step. */
class Graph extends Camera {
  constructor(data, index) {
    super();
    Object.assign(this, {d: data, index, two: D.panes.length > 1, level: data.level, open: new Set(), at: 0, train: -1, hits: []});
    this.svg = $("g" + index);
    this.root = this.svg.querySelector(".root");
    this.world = this.svg.parentNode;
    this.box = this.world.parentNode;
    this.over = this.svg.nextElementSibling;  // a drawing of its own: what changes there moves nothing here
    this.box.classList.add("live");
    this.cards = data.cards;
    this.scene.paths = this.all(".e").map(e => e.outerHTML);  // what is drawn already is not said twice
    this.all(".n").forEach((el, i) => { this.cards[this.scene.nodes[i][0]].svg = el.innerHTML; });
    this.svg.removeAttribute("viewBox");
    this.view = {x: 0, y: 0, k: 1};
    this.map = document.createElement("canvas");
    this.map.className = "map";
    this.map.width = 0;
    this.map.setAttribute("aria-hidden", "true");
    $("maps").append(this.map);
    this.draw();
  }

  all(what) { return [...this.root.querySelectorAll(what)]; }

  get scene() { return this.d.scenes[this.level]; }

  /* Where everything goes when some nodes are open: an open node grows to what it holds, and whatever lies to the
     right of it, or below it in its column, gives way. */
  arrange(scene, prefix) {
    const nodes = scene.nodes.map(([c, x, y, sub], i) => {
      const w = this.cards[c].w, h = this.cards[c].t;
      return {key: prefix + i, c, sub, x, y, w, h, ox: x, oy: y, ow: w, oh: h};
    });
    const folds = [];
    (scene.folds || []).forEach(([x, y, w, h, text, sub, members], i) => {
      const key = `${prefix}F${i}`;
      if (sub >= 0 && this.open.has(key)) {  // a frame with all repeats stands for the nodes of one
        const frame = {key, c: nodes[members[0]].c, sub, x, y, w, h, ox: x, oy: y, ow: w, oh: h, text};
        for (const member of members) nodes[member].gone = frame;
        nodes.push(frame);
      } else {
        folds.push([x, y, w, h, text, sub < 0 ? "" : key]);
        for (const member of members) nodes[member].fold = sub < 0 ? "" : key;
      }
    });
    let columns = [-1e9, ...scene.columns, 1e9];
    const maps = [];
    for (const node of nodes) {
      if (node.gone || node.sub < 0 || !this.open.has(node.key)) continue;
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
    const place = i => nodes[i] && nodes[i].gone || nodes[i], edges = [];
    scene.paths.forEach((path, i) => {
      const row = scene.edges[i], s = place(row[0]), t = place(row[1]);
      if (s && s === t) return;
      const [lx, ly] = through(row[8], row[9]);
      edges.push({row, s, t, lx, ly, share: scene.shares[i], path: maps.length ? warp(path, s, t, through) : path});
    });
    for (const fold of folds) {
      const [x, y, w, h] = fold, [x0, y0] = through(x, y), [x1, y1] = through(x + w, y + h);
      fold.splice(0, 4, x0, y0, x1 - x0, y1 - y0);
    }
    const right = Math.max(0, ...nodes.map(n => n.x + n.w)), was = Math.max(0, ...nodes.map(n => n.ox + n.ow));
    const below = Math.max(0, ...nodes.map(n => n.y + n.h)), wasBelow = Math.max(0, ...nodes.map(n => n.oy + n.oh));
    return {nodes, edges, folds, w: scene.w + right - was, h: scene.h + below - wasBelow};
  }

  draw() {
    const items = this.items = [], drawn = this.drawn = [], owner = new Map(), html = {e: [], n: [], f: [], l: [], c: []};
    const all = this.arrange(this.scene, ""), later = [];
    this.hovered = null;
    this.light();
    this.w = all.w;
    this.h = all.h;
    const walk = (part, dx, dy, inside) => {
      for (const [x, y, w, h, text, key] of part.folds) {
        html.f.push(`<rect class="fold" x="${x}" y="${y}" width="${w}" height="${h}" rx="10"/>`);
        html.c.push(`<text class="foldt unfold" role="button" tabindex="0" data-open="${key}" aria-label="Unfold ${text}" x="${x + 12}" y="${y + 4}">${text} ⊞</text>`);
      }
      for (const node of part.nodes) {
        const card = this.cards[node.c], x = node.x + dx, y = node.y + dy, title = node.text || esc(card.n);
        if (node.gone) continue;
        if (node.inner) {
          html.f.push(`<g class="n frame" data-open="${node.key}" transform="translate(${x},${y})"><rect class="b"`
            + ` width="${node.w}" height="${node.h}" rx="9"/><g class="o" role="button" tabindex="0" aria-label="Close ${title}">`
            + `<rect x="7" y="7" width="15" height="15" rx="4"/><path d="M11,14.5h7"/></g>`
            + `<text class="t" x="28" y="19">${title}</text></g>`);
          walk(node.inner, x + (node.w - node.inner.w) / 2, y + HEAD, node);
        } else {
          const item = {index: items.length, card, key: node.key, sub: node.sub, fold: node.fold, x, y, w: node.w, h: node.h, outs: [], ins: []};
          node.item = item;
          items.push(item);
          for (const vertex of card.mem || []) owner.set(vertex, item);
          html.n.push(`<g class="n" data-i="${item.index}" tabindex="-1" role="button" aria-label="${esc(this.words(card))}"`
            + ` transform="translate(${x},${y})">${card.svg}</g>`);
        }
      }
      if (dx || dy) html.e.push(`<g transform="translate(${dx},${dy})">`);
      for (const edge of part.edges) {
        const {s, t} = edge;
        html.e.push(edge.path);
        later.push({edge, s, t, port: inside && (!s || !t), dx, dy});
        html.l.push(`<text class="l${edge.row[7] ? " s" : ""}" x="${edge.lx + dx}" y="${edge.ly + dy}">${s && t ? edge.share : ""}</text>`);
      }
      if (dx || dy) html.e.push("</g>");
    };
    walk(all, 0, 0, null);
    this.link(later, owner, drawn);
    this.root.innerHTML = `<g class="f">${html.f.join("")}</g><g>${html.e.join("")}</g><g>${html.l.join("")}${html.c.join("")}</g>`
      + `<g class="nodes">${html.n.join("")}</g>`;
    for (const svg of [this.svg, this.over]) { svg.setAttribute("width", this.w); svg.setAttribute("height", this.h); }
    this.all(".nodes>.n").forEach((el, i) => { items[i].el = el; });
    const paths = this.all(".e"), texts = this.all(".l");
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
      const one = {from, to, rms, share, skip, slot, key: `${reader}:${slot}`};
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
    const done = k > this.N, now = done ? null : this.order[k - 1], rel = el => this.lit.has(el) ? " rel" : "";
    for (const item of this.items) {
      let state = "";
      if (item.step && !done) state = k < item.first ? " wait" : k < item.whole ? " part" : "";
      const cls = `n ${item.tint || item.card.c}${state}${item === now ? " now" : ""}${item.pin ? " pin" : ""}${item.hit ? " hit" : ""}${rel(item.el)}`;
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
        one.el.setAttribute("class", one.base + state + rel(one.el));
        one.text.setAttribute("class", `l${one.base.includes(" s") ? " s" : ""}${state}${rel(one.text)}`);
      }
    }
    this.now = now;
    this.overlay(k, done);
    this.sketch();
  }

  overlay(k, done) {
    const parts = [], pills = [], now = this.now;  // of the pills: x, y, width
    if (now) {
      parts.push(`<rect class="ring" x="${now.x - 3}" y="${now.y - 3}" width="${now.w + 6}" height="${now.h + 6}" rx="10"/>`);
      const taken = [];
      for (const e of now.ins) if (e.rms != null && e.drawn) {
        const text = num(this.sent(e)), spot = this.beside(e, taken);
        pills.push([...spot, pillWidth(text)]);
        parts.push(pill(...spot, text));
      }
    }
    if (!done) for (const item of this.items) {
      if (item.state !== " part") continue;
      const text = this.progress(item, k), w = pillWidth(text), x = item.x + item.w / 2;
      const free = y => pills.every(([px, py, pw]) => Math.abs(px - x) >= (pw + w) / 2 + 2 || Math.abs(py - y) >= 20);
      const y = [item.y + item.h + 9, item.y - 9, item.y + 11, item.y + item.h + 29, item.y - 29].find(free) || item.y - 9;
      pills.push([x, y, w]);
      parts.push(pill(x, y, text));
    }
    this.over.innerHTML = parts.join("");
  }

  /* A place on an edge for its contribution: near the node that sends it, and clear of the others. */
  beside(e, taken) {
    const {el, dx, dy} = e.drawn, p = wayOf(el.getAttribute("d")).flatMap(([, of]) => of.map(([x, y]) => [x + dx, y + dy])).reverse();
    const far = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]), length = p.reduce((sum, b, i) => i ? sum + far(p[i - 1], b) : 0, 0);
    const at = way => {
      for (let i = 1; i < p.length; i++) {
        const piece = far(p[i - 1], p[i]), part = way / piece;
        if (part <= 1) return [0, 1].map(c => p[i - 1][c] + (p[i][c] - p[i - 1][c]) * part);
        way -= piece;
      }
      return p[p.length - 1];
    };
    let way = length > 90 ? 40 : length / 2, spot;
    do {
      spot = at(way);
      way += 12;
    } while (way < length && taken.some(q => Math.abs(q[0] - spot[0]) < 84 && Math.abs(q[1] - spot[1]) < 21));
    taken.push(spot);
    return spot;
  }

  /* What an edge brings back: a lone number with its sign, else an RMS. */
  sent(e) {
    const line = (e.to.card.num || []).find(l => l[0] === e.slot);
    return line ? line[2] : e.rms;
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
        item.seen = card;
        if (text) text.innerHTML = item.text;
      } else {
        const {v, m, words} = told((card.out || card.mem).map(i => row[i]).filter(one => one != null));
        const colour = m === "nan" || m === "inf" ? "bad" : m || (v == null ? "plain" : tint(v));
        item.seen = {v, m};
        item.tint = colour + card.c.replace(/^\S+/, "");
        if (text) text.innerHTML = svgPowers(words);
      }
      item.el.setAttribute("aria-label", this.words(card, item.seen));
      const cells = item.el.querySelectorAll(".s rect:not(.f)");
      const of = card.x > 1 ? card.out || card.mem : card.mem;
      if (cells.length && of && cells.length === of.length) cells.forEach((cell, i) => {
        if (!cell.dataset.c) cell.dataset.c = cell.getAttribute("class");
        const v = row[of[i]];
        cell.setAttribute("class", last ? cell.dataset.c : v == null ? cell.dataset.c : v > ZERO ? "bad" : v === ZERO ? "zero" : tint(v / 100));
      });
    }
    this.apply(this.at);
  }
}
