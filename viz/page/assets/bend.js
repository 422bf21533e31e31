/* How edges give way when nodes are open, and the pill that an edge carries. */
function give(m, x, y) {
  const along = (v, low, high, more) => v <= low ? v : v >= high ? v + more : v + more * (v - low) / (high - low);
  return [along(x, m.l, m.r, m.dw), x >= m.from && x < m.to ? along(y, m.t, m.b, m.dh) : y];
}

/* The path of an edge when nodes have moved: its ends stay at their nodes, the rest gives way. */
function warp(path, s, t, through) {
  return path.replace(/ d="([^"]*)"/, (_, d) => {
    const points = [...d.matchAll(NUMBERS)].map(m => [+m[1], +m[2]]);
    const end = (node, [x, y], bottom) => {
      if (!node) return through(x, y);
      if (Math.abs(x - node.ox - node.ow) < 3) return [node.x + node.w, node.y + y - node.oy + (node.h - node.oh) / 2];
      if (Math.abs(x - node.ox) < 3) return [node.x, node.y + y - node.oy + (node.h - node.oh) / 2];
      const part = (x - node.ox) / node.ow;
      return [node.x + part * node.w, bottom ? node.y + node.h + y - node.oy - node.oh : node.y + y - node.oy];
    };
    const a = points[0], b = points[points.length - 1], na = end(s, a, true), nb = end(t, b, false);
    const near = (v, o, on) => on ? Math.abs(v - o) < 11 : +v === o;  // a rounded corner moves with its end
    let i = 0;
    return ` d="${d.replace(NUMBERS, (_, x, y) => {
      const first = i++ < points.length / 2, [ox, oy] = first ? a : b, [nx, ny] = first ? na : nb;
      const level = points[first ? 1 : points.length - 2][1] === oy;
      let [px, py] = through(+x, +y);
      if (near(x, ox, !level)) px = nx + +x - ox;
      if (near(y, oy, level)) py = ny + +y - oy;
      return `${Math.round(px)},${Math.round(py)}`;
    })}"`;
  });
}

function pill(x, y, text) {
  const w = text.length * 6.1 + 16;
  return `<g class="pill" transform="translate(${x},${y})"><rect x="${-w / 2}" y="-9" width="${w}" height="18" rx="9"/><text y="3.6">${esc(text)}</text></g>`;
}
