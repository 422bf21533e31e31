/* The page's behaviour, in one scope: words, bend, camera, graph, hands, panel, begin, in this order. Layout, drawing and
   every number come from Python as JSON; here things are moved, coloured and counted.
   Positions of backward: 0 = before it, 1 … N = its steps, N + 1 = done. */
const $ = id => document.getElementById(id);
const sheet = document.documentElement;
/* Tables come by column: rows are made of them, and of the cards' objects, without what is missing. */
const rows = columns => (columns[0] || []).map((_, i) => columns.map(column => column[i]));
const entries = table => rows(Object.values(table)).map(row => Object.fromEntries(
  Object.keys(table).map((key, i) => [key, row[i]]).filter(([, value]) => value !== null)));
const PLACES = [0, 1, 2, 3, 8, 9];  // columns of the edges that are counted from the edge before
const D = JSON.parse($("data").textContent);
for (const pane of D.panes) {
  pane.cards = entries(pane.cards);
  for (const scene of [...pane.scenes, ...pane.insides]) {
    for (const i of PLACES) for (let k = 1; scene.edges[i] && k < scene.edges[i].length; k++) scene.edges[i][k] += scene.edges[i][k - 1];
    scene.edges = rows(scene.edges);
  }
}
const esc = s => String(s).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const ZERO = 9000, NAN = 9001, INF = 9002, HEAD = 30, RIM = 14;
const MARKS = {nan: ["NaN", "NaN"], inf: ["Inf", "Inf"], zero: ["0 exactly", "0"]};  // alone, and where a range begins
const LEVELS = {op: "Operations", module: "Modules", block: "Blocks", folded: "Folded"};

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
  return text.split(/,\s(?=∂)/).map(part => {
    const cut = part.split(/(∂[A-Za-zℓ][ᵢⱼₖₜ]?\/∂[A-Za-zα-ω][ᵢⱼₖₜ]?)/);
    const html = cut.map((s, i) => i % 2 === 0 ? italic(s)
      : `<span class="fr"><i>${esc(s.split("/")[0])}</i><i>${esc(s.split("/")[1])}</i></span>`).join("");
    return `<span class="part">${html}</span>`;
  }).join("");
}
const opOf = card => card.o || card.n;
const ruleOf = card => D.rules[opOf(card)] || ["", "", ""];
const valueWords = ({m, v}) => m === "zero" ? "gradient exactly 0" : m === "none" ? "no gradient arrived"
  : m === "nan" || m === "inf" ? "gradient is NaN or Inf" : v == null ? "" : `gradient ${power(v)} of the reference`;
const tint = v => `c${D.bins + Math.round(Math.max(-1, Math.min(1, v / D.scale)) * D.bins)}`;
const svgPowers = s => esc(s).replace(/10\^([+−-]?\d+(?:\.\d+)?)/g, '10<tspan class="x" dy="-4">$1</tspan><tspan dy="4">&#8203;</tspan>');
