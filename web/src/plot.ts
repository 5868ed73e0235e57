/** What a chart looks like, on the page and in a picture: the options of uPlot. */

import uPlot from "uplot";
import { figure } from "./i18n";
import type { Phase } from "./protocol";
import { word } from "./i18n";
import type { Span } from "./zoom";

export type Columns = (number | null)[][];

export interface Line {
  label: string;
  /** A colour of the page: `--curve-1` … */
  color: string;
  unit: string;
  digits?: number;
  dash?: number[];
  width?: number;
  /** The edge of a band: drawn thin, and not in the legend. */
  edge?: boolean;
  /** A value holds until the next one. */
  step?: boolean;
  /** Of values that have one. */
  words?: Record<string, string>;
}

export interface Look {
  /** Of the values, with their unit. */
  title: string;
  lines: Line[];
  /** Between the lines with these numbers (the upper first) the area is tinted. */
  band?: [number, number];
  phases?: Phase[];
  /** So much is always shown of the values, or the last millimetre would fill the picture. */
  leastSpan: number;
  xTitle: string;
  xValue?: (value: number) => string;
}

const FONT = "system-ui, sans-serif";
const ALPHA = "33";

/** As it is within this element: the theme of the page, or of a sheet of paper. */
export function cssColor(name: string, within: Element = document.documentElement): string {
  return getComputedStyle(within).getPropertyValue(name).trim();
}

interface Style {
  fontPx?: number;
  colors?: Element;
}

export function plotOptions(look: Look, width: number, height: number, { fontPx = 13, colors }: Style = {}): uPlot.Options {
  const ink = cssColor("--ink", colors);
  const faint = cssColor("--faint", colors);
  const grid = { stroke: cssColor("--grid", colors), width: 1 };
  const font = `${fontPx}px ${FONT}`;
  const axis = { stroke: faint, grid, ticks: { ...grid, size: 5 }, font, labelFont: font };
  const text = (value: number) => look.xValue?.(value) ?? figure(value, 2);
  return {
    width,
    height,
    pxAlign: false,
    legend: { live: true },
    cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
    scales: {
      x: { time: false },
      y: { range: (_, low, high) => padded(low, high, look.leastSpan, look.phases ? 0.68 : 0.56) },
    },
    axes: [
      {
        ...axis,
        label: look.xTitle,
        labelSize: fontPx + 9,
        size: 2 * fontPx + 6,
        ...(look.xValue ? { values: (_: uPlot, ticks: number[]) => ticks.map(text) } : { values: ticksOf }),
      },
      { ...axis, label: look.title, labelSize: fontPx + 9, size: 5 * fontPx, values: ticksOf },
    ],
    series: [
      { label: look.xTitle, value: (_, value) => (value === null ? "–" : text(value)) },
      ...look.lines.map((line) => ({
        label: line.label,
        stroke: cssColor(line.color, colors),
        width: ((line.edge ? 0.5 : (line.width ?? 2)) * fontPx) / 13,
        points: { show: false },
        ...(line.dash ? { dash: line.dash } : {}),
        ...(line.edge ? { class: "edge" } : {}),
        ...(line.step ? { paths: uPlot.paths.stepped!({ align: 1 }) } : {}),
        value: (_: uPlot, value: number | null) =>
          value === null || value === undefined ? "–" : (line.words?.[String(value)] ?? `${figure(value, line.digits ?? 0)} ${line.unit}`),
      })),
    ],
    bands: look.band ? [{ series: look.band, fill: cssColor(look.lines[look.band[0] - 1]!.color, colors) + ALPHA }] : [],
    hooks: {
      drawClear: [(plot) => shadePhases(plot, look.phases ?? [], faint)],
      draw: [(plot) => namePhases(plot, look.phases ?? [], ink, fontPx)],
    },
  };
}

const PAPER = { width: 1000, height: 330, fontPx: 15, sharp: 2 };

/** Into that canvas, for a printer. */
export function drawOnPaper(canvas: HTMLCanvasElement, look: Look, data: uPlot.AlignedData, [min, max]: Span): void {
  const { width, height, fontPx, sharp } = PAPER;
  canvas.width = sharp * width;
  canvas.height = sharp * height;
  drawPlot(canvas.getContext("2d")!, look, data, { left: 0, top: 0, width: sharp * width, height: sharp * height }, fontPx * sharp, [min, max]);
}

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** A plot that is drawn once, at once, in the colours of paper. */
export function drawPlot(
  context: CanvasRenderingContext2D,
  look: Look,
  data: uPlot.AlignedData,
  box: Box,
  fontPx: number,
  span?: Span,
): void {
  const place = document.createElement("div");
  place.className = "off-screen";
  place.dataset.theme = "light";
  document.body.append(place);
  const options = plotOptions(look, box.width, box.height, { fontPx, colors: place });
  const plot = new uPlot({ ...options, legend: { show: false } }, data, place);
  try {
    plot.batch((u: uPlot) => span && u.setScale("x", { min: span[0], max: span[1] })); // not when this turn is over
    context.drawImage(plot.ctx.canvas, box.left, box.top, box.width, box.height);
  } finally {
    plot.destroy();
    place.remove();
  }
}

function ticksOf(_: uPlot, ticks: number[], __: number, ___: number, step: number): string[] {
  const most = Math.max(...ticks.map(Math.abs));
  if (most >= 1e6) {
    const places = Math.min(9, Math.max(0, Math.ceil(Math.log10(most / step))));
    return ticks.map((tick) => (tick === 0 ? "0" : Number(tick.toPrecision(places + 1)).toExponential()));
  }
  // Steps of 0.25 are not told as 0.3, nor those of 2.5 as 3.
  let digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  const scaled = step * 10 ** digits;
  if (Math.abs(scaled - Math.round(scaled)) > 1e-6) digits += 1;
  return ticks.map((tick) => figure(tick, Math.min(digits, 8)));
}

function padded(low: number | null, high: number | null, least: number, above: number): [number, number] {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [-least / 2, least / 2];
  const middle = (low + high) / 2;
  const span = Math.max(high - low, least, Math.abs(middle) * 1e-9);
  return [middle - 0.56 * span, middle + above * span];
}

type Edges = [left: number, right: number];

function phaseEdges(plot: uPlot, phase: Phase): Edges {
  const { bbox } = plot;
  const inside = (x: number) => Math.min(Math.max(x, bbox.left), bbox.left + bbox.width);
  return [inside(plot.valToPos(phase.begin_s, "x", true)), inside(plot.valToPos(phase.begin_s + phase.duration_s, "x", true))];
}

function shadePhases(plot: uPlot, phases: Phase[], faint: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = faint;
  phases.forEach((phase, index) => {
    const [left, right] = phaseEdges(plot, phase);
    ctx.globalAlpha = index % 2 ? 0.05 : 0.12;
    ctx.fillRect(left, bbox.top, Math.max(0, right - left), bbox.height);
  });
  ctx.restore();
}

/** In the headroom above the curves, see `padded`. */
function namePhases(plot: uPlot, phases: Phase[], ink: string, fontPx: number): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `${(fontPx - 2) * ratio}px ${FONT}`;
  ctx.fillStyle = ink;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  for (const phase of phases) {
    const [left, right] = phaseEdges(plot, phase);
    const name = word("phase", phase.name);
    if (ctx.measureText(name).width < right - left - 4) ctx.fillText(name, (left + right) / 2, bbox.top + 3 * ratio);
  }
  ctx.restore();
}
