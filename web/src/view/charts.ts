// Pictures first, numbers on demand: each chart is an SVG without scripts or libraries, with its numbers in a table that opens.
// Two lines never differ by colour alone: each has a dash of its own, and its name stands at its end or in the legend.
import { digits, t } from "../strings";
import { h, s } from "./dom";

export interface Line {
  name: string;
  points: readonly (readonly [number, number])[];
  /** One of the classes `line-0` to `line-5`: hue and dash. */
  style: number;
}

const WIDTH = 640;
const HEIGHT = 260;
const MARGIN = { left: 46, right: 14, top: 12, bottom: 30 };

/** Round numbers between two ends, about `count` of them. */
export function ticks(from: number, to: number, count = 5): number[] {
  if (!(to > from)) return [from];
  const rough = (to - from) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? rough;
  const first = Math.ceil(from / step - 1e-9);
  return Array.from({ length: Math.floor(to / step + 1e-9) - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

export const short = (value: number) => {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6) return value.toExponential(0).replace("e+", "e");
  if (size >= 1000) return `${Number((value / 1000).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
};

export function numbers(caption: string, head: readonly string[], rows: readonly (readonly (string | number)[])[]): HTMLElement {
  return h(
    "details",
    { class: "numbers" },
    h("summary", {}, t().common.numbers),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
      h(
        "table",
        {},
        h("caption", { class: "hidden" }, caption),
        h("thead", {}, h("tr", {}, ...head.map((cell) => h("th", { scope: "col" }, cell)))),
        h("tbody", {}, ...rows.map(([first, ...rest]) => h("tr", {}, h("th", { scope: "row" }, first), ...rest.map((cell) => h("td", {}, cell))))),
      ),
    ),
  );
}

export function figure(caption: string, origin: string, ...content: (Node | null)[]): HTMLElement {
  return h("figure", {}, h("figcaption", {}, h("span", {}, caption), h("span", { class: "origin" }, origin)), ...content.filter((node) => node !== null));
}

/** What each colour of areas means. */
export const legendOfBars = (bars: readonly { name: string; kind: "generator" | "replaced" }[]) =>
  h("ul", { class: "legend" }, ...bars.map(({ name, kind }) => h("li", {}, s("svg", { width: 12, height: 12, "aria-hidden": "true" }, s("rect", { width: 12, height: 12, rx: 2, class: `fill-${kind}` })), name)));

export const legend = (lines: readonly { name: string; style: number }[]) =>
  h("ul", { class: "legend" }, ...lines.map(({ name, style }) => h("li", {}, s("svg", { width: 28, height: 10, "aria-hidden": "true" }, s("line", { x1: 1, x2: 27, y1: 5, y2: 5, class: `line line-${style}` })), name)));

/** Curves over steps. `low` and `high` fix the axis where it has natural ends; `mark` draws a level to compare with. */
export function curves(caption: string, lines: readonly Line[], options: { low?: number; high?: number; mark?: { at: number; name: string } } = {}): Node[] {
  const points = lines.flatMap((line) => line.points);
  const levels = [...points.map((point) => point[1]), ...(options.mark ? [options.mark.at] : [])].filter(Number.isFinite);
  if (points.length === 0) return [h("p", { class: "quiet" }, t().common.working)];
  const right = Math.max(1, ...points.map((point) => point[0]));
  let low = options.low ?? Math.min(...levels);
  let high = options.high ?? Math.max(...levels);
  if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
  const x = (value: number) => MARGIN.left + (value / right) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value: number) => HEIGHT - MARGIN.bottom - ((value - low) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const picture = s(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": caption },
    ...ticks(low, high).flatMap((at) => [s("line", { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(at), y2: y(at), class: "grid" }), s("text", { x: MARGIN.left - 8, y: y(at) + 4, "text-anchor": "end" }, short(at))]),
    ...ticks(0, right, 6).map((at) => s("text", { x: x(at), y: HEIGHT - 8, "text-anchor": "middle" }, short(at))),
    ...(options.mark
      ? [s("line", { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(options.mark.at), y2: y(options.mark.at), class: "mark-line" }), s("text", { x: MARGIN.left + 4, y: y(options.mark.at) - 6 }, options.mark.name)]
      : []),
    ...lines.flatMap((line) => {
      const path = line.points.map(([step, level], index) => `${index ? "L" : "M"}${x(step).toFixed(1)} ${y(level).toFixed(1)}`).join("");
      const last = line.points.at(-1);
      return last ? [s("path", { d: path, class: `line line-${line.style}` }), s("circle", { cx: x(last[0]), cy: y(last[1]), r: 3, class: `dot dot-${line.style}` })] : [];
    }),
  );
  const steps = [...new Set(points.map((point) => point[0]))].sort((a, b) => a - b);
  const shown = steps.filter((_, index) => index % Math.ceil(steps.length / 40) === 0 || index === steps.length - 1);
  const level = (line: Line, step: number) => line.points.find((point) => point[0] === step)?.[1];
  return [
    picture,
    ...(lines.length > 1 ? [legend(lines)] : []),
    numbers(caption, [t().common.step, ...lines.map((line) => line.name)], shown.map((step) => [step, ...lines.map((line) => level(line, step)).map((value) => (value === undefined ? "" : digits(value, 3)))])),
  ];
}

export interface Bar {
  name: string;
  value: number;
  /** What stands behind the bar, where it is not the number. */
  said?: string;
  kind?: "generator" | "replaced" | "plain";
}

/** Bars from left to right, a row each; the names stand in HTML so that they wrap and can be read aloud. */
export function bars(caption: string, all: readonly Bar[], high: number, low = 0): HTMLElement {
  return h(
    "table",
    { class: "bars" },
    h("caption", { class: "hidden" }, caption),
    h(
      "tbody",
      {},
      ...all.map(({ name, value, said, kind = "plain" }) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, name),
          h("td", { class: "bar" }, s("svg", { width: "100%", height: 12, preserveAspectRatio: "none", "aria-hidden": "true" }, s("rect", { width: `${Math.max(0.4, Math.min(100, ((value - low) / (high - low || 1)) * 100))}%`, height: 12, rx: 2, class: `fill-${kind}` }))),
          h("td", { class: "value" }, said ?? digits(value)),
        ),
      ),
    ),
  );
}

/** Columns, one for each token, upright; the token stands below. A second value is stacked on top. */
export function columns(caption: string, tokens: readonly string[], first: readonly number[], names: readonly [string, string?], options: { second?: readonly number[]; high?: number; mark?: number; kind?: "generator" | "replaced"; hatched?: readonly boolean[] } = {}): Node[] {
  const { second, mark, kind = "replaced" } = options;
  const sum = first.map((value, index) => value + (second?.[index] ?? 0));
  const high = options.high ?? Math.max(1e-6, ...sum);
  const slot = 46;
  const width = slot * tokens.length;
  const floor = 150;
  const y = (value: number) => floor - (Math.min(value, high) / high) * 130;
  const picture = s(
    "svg",
    { viewBox: `0 0 ${width} 224`, width, height: 224, class: "columns", role: "img", "aria-label": caption },
    s("line", { x1: 0, x2: width, y1: floor, y2: floor, class: "grid" }),
    ...tokens.flatMap((token, index) => {
      const x = index * slot + 10;
      const value = first[index] ?? 0;
      const upper = second?.[index] ?? 0;
      return [
        s("rect", { x, width: 26, y: y(value), height: floor - y(value), rx: 2, class: `fill-${kind}` }),
        upper > 0 && s("rect", { x, width: 26, y: y(value + upper), height: Math.max(0, y(value) - y(value + upper) - 1), rx: 2, class: "fill-generator" }),
        options.hatched?.[index] && s("circle", { cx: x + 13, cy: y(value + upper) - 8, r: 3.5, class: "ring" }),
        s("text", { transform: `translate(${x + 10} ${floor + 12}) rotate(45)` }, token),
      ].filter((node) => node !== false);
    }),
    ...(mark === undefined ? [] : [s("line", { x1: 0, x2: width, y1: y(mark), y2: y(mark), class: "mark-line" })]),
  );
  return [
    h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": caption }, picture),
    numbers(caption, [t().common.token, names[0], ...(names[1] === undefined ? [] : [names[1]])], tokens.map((token, index) => [token, digits(first[index] ?? 0, 3), ...(names[1] === undefined ? [] : [digits(second?.[index] ?? 0, 3)])])),
  ];
}

/** A square of shades: how much each row takes from each column. */
export function heat(caption: string, tokens: readonly string[], value: (row: number, column: number) => number): Node[] {
  const cell = 22;
  const left = 92;
  const top = 78;
  const size = cell * tokens.length;
  const picture = s(
    "svg",
    { viewBox: `0 0 ${left + size + 44} ${top + size + 4}`, width: left + size + 44, height: top + size + 4, class: "heat", role: "img", "aria-label": caption },
    ...tokens.flatMap((token, row) => [
      s("text", { x: left - 8, y: top + row * cell + 15, "text-anchor": "end" }, token.length > 10 ? `${token.slice(0, 9)}…` : token),
      s("text", { transform: `translate(${left + row * cell + 14} ${top - 8}) rotate(-50)` }, token.length > 10 ? `${token.slice(0, 9)}…` : token),
      ...tokens.map((_, column) => {
        const share = value(row, column);
        return s("rect", { x: left + column * cell + 1, y: top + row * cell + 1, width: cell - 2, height: cell - 2, rx: 3, class: "cell", "fill-opacity": Math.max(0.05, Math.min(1, share)).toFixed(3) });
      }),
    ]),
  );
  return [
    h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": caption }, picture),
    numbers(caption, ["", ...tokens], tokens.map((token, row) => [token, ...tokens.map((_, column) => digits(value(row, column)))])),
  ];
}

export interface Point {
  name: string;
  x: number;
  y: number;
  kind: "replaced" | "generator" | "plain";
  anchor?: "start" | "end" | "middle";
  below?: boolean;
}

/** Points with their names; the horizontal axis logarithmic or not. */
export function scatter(caption: string, points: readonly Point[], names: readonly [string, string], scale: "log" | "linear"): Node[] {
  const height = 320;
  const logarithmic = scale === "log";
  const left = logarithmic ? 5e17 : 0;
  const right = logarithmic ? 1e22 : 4.2e21;
  const measure = logarithmic ? Math.log10 : (value: number) => value;
  const low = 73;
  const high = 92;
  const x = (value: number) => MARGIN.left + ((measure(value) - measure(left)) / (measure(right) - measure(left))) * (WIDTH - MARGIN.left - MARGIN.right - 30);
  const y = (value: number) => height - 34 - ((value - low) / (high - low)) * (height - 52);
  const across = logarithmic ? [1e18, 1e19, 1e20, 1e21, 1e22] : [0, 1e21, 2e21, 3e21, 4e21];
  const picture = s(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${height}`, class: "chart", role: "img", "aria-label": caption },
    ...[75, 80, 85, 90].flatMap((at) => [s("line", { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(at), y2: y(at), class: "grid" }), s("text", { x: MARGIN.left - 8, y: y(at) + 4, "text-anchor": "end" }, at)]),
    ...across.map((at) => s("text", { x: x(at), y: height - 10, "text-anchor": "middle" }, at === 0 ? "0" : `${at.toExponential(0).replace("e+", "e")}`)),
    ...points.flatMap((point) => [
      s("circle", { cx: x(point.x), cy: y(point.y), r: 5, class: `fill-${point.kind}` }),
      s("text", { x: x(point.x) + (point.anchor === "end" ? -9 : point.anchor === "middle" ? 0 : 9), y: y(point.y) + (point.below ? 18 : point.anchor === "middle" ? -10 : 4), "text-anchor": point.anchor ?? "start", class: "name-of" }, point.name),
    ]),
  );
  return [picture, numbers(caption, ["", ...names], points.map((point) => [point.name, point.x.toExponential(1), digits(point.y, 1)]))];
}
