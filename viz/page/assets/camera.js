/* Where one looks at a graph from: fit, zoom, glide, and the map of it all. */
class Camera {
  get size() { return this.room ??= [this.box.clientWidth || 800, this.box.clientHeight || 500]; }

  get whole() { const [w, h] = this.size; return Math.min(1.25, (w - 36) / this.w, (h - (this.two ? 72 : 36)) / this.h); }

  /* The whole graph; or, at first, a part of it, if its labels could not be read. Two graphs have one zoom. */
  fit(readable) {
    const [w, h] = this.size, whole = Math.min(...panes.map(p => p.whole));
    const widest = Math.max(...panes.map(p => p.w)), least = 0.73;
    const k = readable && whole < least ? Math.max(least, Math.min(0.9, (w - 36) / Math.min(widest, 1200))) : whole;
    const room = (size, length, rim) => length * k <= size - 28 - rim ? rim + (size - rim - length * k) / 2 : 18 + rim;
    this.look(room(w, this.w, 0), room(h, this.h, this.two ? 36 : 0), k);
  }

  look(x, y, k, smooth) {
    cancelAnimationFrame(this.gliding);
    const set = (x, y, k) => {
      this.view = {x, y, k};
      this.world.style.transform = `translate(${x.toFixed(1)}px,${y.toFixed(1)}px) scale(${k.toFixed(4)})`;
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
    const {x, y, k} = this.view, [w, h] = this.size;
    this.map.hidden = k < this.whole * 1.1;
    if (this.map.hidden) return;
    const s = Math.min((this.two ? 132 : 282) / this.w, 150 / this.h), ratio = devicePixelRatio || 1;
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
}

let colours = {};
function palette() {
  const theme = sheet.dataset.theme;
  if (colours.theme === theme) return colours;
  colours = {theme};
  const style = getComputedStyle(sheet), probe = document.createElement("i");
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
