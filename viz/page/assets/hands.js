/* Pointer and keys on a graph. */
class Pane extends Graph {
  constructor(data, index) {
    super(data, index);
    this.listen();
  }

  listen() {
    const {box} = this, touches = new Map();
    let start = null, moved = false, pinch = 0;
    box.addEventListener("pointerdown", e => {
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
        const [a, b] = [...touches.values()], wide = Math.hypot(a[0] - b[0], a[1] - b[1]), r = box.getBoundingClientRect();
        if (pinch) this.zoom(wide / pinch, (a[0] + b[0]) / 2 - r.left, (a[1] + b[1]) / 2 - r.top);
        pinch = wide;
      } else this.look(e.clientX - start.x, e.clientY - start.y, this.view.k);
    });
    for (const name of ["pointerup", "pointercancel"]) addEventListener(name, e => { touches.delete(e.pointerId); pinch = 0; });
    box.addEventListener("wheel", e => {
      e.preventDefault();
      const r = box.getBoundingClientRect();
      this.zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0016)), e.clientX - r.left, e.clientY - r.top);
    }, {passive: false});
    box.addEventListener("click", e => {
      if (moved) return;
      const fold = e.target.closest(".unfold");
      if (fold) return this.unfold(fold.dataset.open);
      const frame = e.target.closest(".frame"), item = this.itemAt(e.target);
      if (e.target.closest(".o") && (frame || item)) this.toggle(frame ? frame.dataset.open : item.key);
      else if (item) pin(this, item);
    });
    box.addEventListener("dblclick", e => {
      const item = this.itemAt(e.target);
      if (item && item.sub >= 0) this.toggle(item.key);
      else if (item && item.fold) this.unfold(item.fold);
    });
    box.addEventListener("pointerover", e => { const item = this.itemAt(e.target); this.hover(item); tip(this, item, e, this.drawn.find(d => d.el === e.target)); });
    box.addEventListener("pointermove", e => moveTip(e));
    box.addEventListener("pointerleave", () => { this.hover(null); tip(this, null); });
    box.addEventListener("focusin", e => { const item = this.itemAt(e.target); if (item) this.reveal(item); });
    box.addEventListener("keydown", e => {
      const item = this.itemAt(e.target), press = e.key === "Enter" || e.key === " ";
      const fold = e.target.closest(".unfold");
      if (fold && press) { e.preventDefault(); e.stopPropagation(); return this.unfold(fold.dataset.open); }
      const frame = e.target.closest(".frame");
      if (frame && press) { e.preventDefault(); e.stopPropagation(); return this.toggle(frame.dataset.open); }
      if (!item) return;
      if (e.key === "Enter") pin(this, item);
      else if (e.key === "o" && (item.sub >= 0 || item.fold)) this.toggle(item.sub >= 0 ? item.key : item.fold);
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

  unfold(key) { if (key) this.toggle(key); else setLevel("block"); }

  toggle(key) {
    const first = this.items.find(i => i.key === key || i.fold === key || i.key.startsWith(key + "/")), vertex = first && first.card.mem;
    if (!this.open.delete(key)) this.open.add(key);
    else for (const other of [...this.open]) if (other.startsWith(key + "/")) this.open.delete(other);
    const pinned = new Set(this.items.filter(i => i.pin).map(i => i.key)), fraction = this.at / (this.N + 1);
    this.draw();
    for (const item of this.items) item.pin = pinned.has(item.key);
    resize(fraction);
    const item = this.items.find(i => i.key === key) || (vertex && this.items.find(i => (i.card.mem || []).includes(vertex[0])));
    if (item) { this.focus(item); this.reveal(item); }
  }

  /* Keep only what leads to a node and what it leads to. */
  hover(item) {
    if (item === this.hovered) return;
    this.hovered = item;
    if (!item) return this.light();
    const related = new Set([item]), edges = new Set();
    for (const [list, end] of [["ins", "from"], ["outs", "to"]]) {
      const stack = [item], seen = new Set(stack);
      while (stack.length) for (const e of stack.pop()[list]) {
        edges.add(e);
        if (!seen.has(e[end])) { seen.add(e[end]); related.add(e[end]); stack.push(e[end]); }
      }
    }
    this.light(related, edges);
  }

  /* The edges that a path of the chain rule takes, each named by the vertex that reads and the slot. */
  way(keys) {
    const edges = new Set(this.drawn.flatMap(d => d.ones).filter(e => keys.includes(e.key)));
    this.light(new Set([...edges].flatMap(e => [e.from, e.to])), edges);
  }

  /* Dim all but these nodes and edges; without any, nothing. */
  light(nodes, edges) {
    for (const one of this.lit || []) one.classList.remove("rel");
    this.lit = new Set();
    this.root.classList.toggle("focus", !!nodes);
    if (!nodes) return;
    for (const one of nodes) this.lit.add(one.el);
    for (const one of this.drawn) if (one.ones.some(e => edges.has(e))) this.lit.add(one.el).add(one.text);
    for (const el of this.lit) el.classList.add("rel");
  }

  words(card, seen = card) {
    const parts = [card.n, opOf(card) !== card.n ? opOf(card) : "", card.h ? `output ${card.h.replace(/×/g, " by ")}` : ""];
    if (card.pc) parts.push(plural(card.pc, "parameter"));
    if (this.d.has) parts.push(valueWords(seen));
    return parts.filter(Boolean).join(", ");
  }
}
