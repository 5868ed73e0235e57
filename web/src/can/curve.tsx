/** A small curve of the last minutes, with its limits; drawn twice a second at most. */

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { figure, language, t } from "../i18n";
import { cssColor } from "../plot";
import type { Series } from "../series";
import { decimate } from "../series";
import { shownTheme } from "../settings";
import type { Limits } from "./board";

export const SHOWN_S = 300;
const LEAST_S = 60;
const DRAW_MS = 500;
const HEIGHT = 110;
const FONT = "12px system-ui, sans-serif";
const ROOM = 0.1;

interface Props {
  /** Seconds of `performance.now()`, and a value. */
  series: Series;
  label: string;
  limits?: Limits;
  /** So much is always shown. */
  least?: number;
  /** Never drawn below it. */
  floor?: number;
}

export function SmallCurve({ series, label, limits, least = 0, floor }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const low = limits?.low ?? null;
  const high = limits?.high ?? null;
  useEffect(() => {
    const element = place.current!;
    const plot = new uPlot(options(element.clientWidth, { low, high }, least, floor), [[], []], element);
    const draw = () => {
      if (document.hidden) return;
      const now = performance.now() / 1000;
      const since = series.length ? now - series.at(0, 0) : 0;
      const shown = Math.min(Math.max(since, LEAST_S), SHOWN_S);
      const [times = [], values = []] = decimate(series.columnsBetween(now - shown, now), element.clientWidth);
      plot.batch((u: uPlot) => {
        u.setData([times.map((time) => time! - now), values] as uPlot.AlignedData, false);
        u.setScale("x", { min: -shown, max: 0 });
      });
    };
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    draw();
    const timer = setInterval(draw, DRAW_MS);
    return () => {
      clearInterval(timer);
      observer.disconnect();
      plot.destroy();
    };
  }, [series, low, high, least, floor, shownTheme(), language.value]);
  return <div ref={place} class="small-curve" role="img" aria-label={label} />;
}

function options(width: number, limits: Limits, least: number, floor: number | undefined): uPlot.Options {
  const grid = { stroke: cssColor("--grid"), width: 1 };
  const axis = { stroke: cssColor("--faint"), grid, ticks: { show: false }, font: FONT };
  return {
    width,
    height: HEIGHT,
    pxAlign: false,
    legend: { show: false },
    cursor: { show: false },
    padding: [6, 16, 0, 0],
    scales: { x: { time: false }, y: { range: (_, low, high) => rangeOf(low, high, least, floor) } },
    axes: [
      { ...axis, size: 20, gap: 2, space: 60, incrs: [20, 60, 120], values: (_, ticks) => ticks.map(ago) },
      { ...axis, size: 46, gap: 2, space: 24, values: (_, ticks, __, ___, step) => ticks.map((tick) => figure(tick, digitsOf(step))) },
    ],
    series: [{}, { stroke: cssColor("--curve-1"), width: 1.75, points: { show: false } }],
    hooks: { draw: [(plot) => drawLimits(plot, limits)] },
  };
}

function ago(seconds: number): string {
  if (seconds === 0) return t("wb_now");
  return seconds % 60 ? t("wb_seconds_ago", { seconds: -seconds }) : t("wb_minutes_ago", { minutes: -seconds / 60 });
}

function digitsOf(step: number): number {
  return step >= 1 ? 0 : Math.min(4, Math.ceil(-Math.log10(step)));
}

function rangeOf(low: number | null, high: number | null, least: number, floor: number | undefined): [number, number] {
  const [bottom, top] = [low ?? 0, high ?? 0];
  const span = Math.max(top - bottom, least, Math.abs(top) * 1e-6, 1e-9);
  const middle = (bottom + top) / 2;
  const from = middle - span * (0.5 + ROOM);
  if (floor !== undefined && from < floor) return [floor, Math.max(floor + least, top + ROOM * span)];
  return [from, middle + span * (0.5 + ROOM)];
}

function drawLimits(plot: uPlot, { low, high }: Limits): void {
  const { ctx, bbox } = plot;
  const { min = 0, max = 0 } = plot.scales.y ?? {};
  ctx.save();
  ctx.strokeStyle = cssColor("--warn");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([6, 4]);
  for (const limit of [low, high]) {
    if (limit === null || limit < min || limit > max) continue;
    const y = plot.valToPos(limit, "y", true);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}
