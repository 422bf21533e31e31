/* How edges give way when nodes are open, and the pill that an edge carries. */
function give(m, x, y) {
  const along = (v, low, high, more) => v <= low ? v : v >= high ? v + more : v + more * (v - low) / (high - low);
  return [along(x, m.l, m.r, m.dw), x >= m.from && x < m.to ? along(y, m.t, m.b, m.dh) : y];
}

/* The commands of a path, each with the points that it names, which in the text are counted from where the pen is. */
function wayOf(d) {
  let pen = [0, 0];
  return [...d.matchAll(/([MLQCvhlqc])([^MLQCvhlqc]*)/g)].map(([, command, text]) => {
    const n = text.match(/-?\d+/g).map(Number), [x, y] = /[MLQC]/.test(command) ? [0, 0] : pen, points = [];
    if (command === "v") points.push([pen[0], y + n[0]]);
    else if (command === "h") points.push([x + n[0], pen[1]]);
    else for (let i = 0; i < n.length; i += 2) points.push([x + n[i], y + n[i + 1]]);
    pen = points[points.length - 1];
    return [{v: "L", h: "L"}[command] || command.toUpperCase(), points];
  });
}

/* The path of an edge when nodes have moved: its ends stay at their nodes, the rest gives way. */
function warp(path, s, t, through) {
  return path.replace(/ d="([^"]*)"/, (_, d) => {
    const way = wayOf(d), points = way.flatMap(([, of]) => of);
    const end = (node, [x, y], bottom) => {
      if (!node) return through(x, y);
      if (Math.abs(x - node.ox - node.ow) < 3) return [node.x + node.w, node.y + y - node.oy + (node.h - node.oh) / 2];
      if (Math.abs(x - node.ox) < 3) return [node.x, node.y + y - node.oy + (node.h - node.oh) / 2];
      const part = (x - node.ox) / node.ow;
      return [node.x + part * node.w, bottom ? node.y + node.h + y - node.oy - node.oh : node.y + y - node.oy];
    };
    const a = points[0], b = points[points.length - 1], na = end(s, a, true), nb = end(t, b, false);
    const near = (v, o, on) => on ? Math.abs(v - o) < 11 : v === o;  // a rounded corner moves with its end
    let i = 0;
    const moved = ([x, y]) => {
      const first = i++ < points.length / 2, [ox, oy] = first ? a : b, [nx, ny] = first ? na : nb;
      const level = points[first ? 1 : points.length - 2][1] === oy;
      let [px, py] = through(x, y);
      if (near(x, ox, !level)) px = nx + x - ox;
      if (near(y, oy, level)) py = ny + y - oy;
      return `${Math.round(px)},${Math.round(py)}`;
    };
    return ` d="${way.map(([command, of]) => command + of.map(moved).join(" ")).join("")}"`;
  });
}

const pillWidth = text => String(text).length * 6.1 + 16;
function pill(x, y, text) {
  const w = pillWidth(text);
  return `<g class="pill" transform="translate(${x},${y})"><rect x="${-w / 2}" y="-9" width="${w}" height="18" rx="9"/><text y="3.6">${esc(text)}</text></g>`;
}
