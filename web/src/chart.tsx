/**
 * A chart: uPlot with what a finger, a mouse and a keyboard expect of it.
 *
 * Charts that share a `Zoom` show the same span and the same cursor. A `feed` draws live, once for each
 * frame of the screen and only while it is seen.
 */

import type { Signal } from "@preact/signals";
import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { language, t } from "./i18n";
import type { Columns, Look } from "./plot";
import { drawOnPaper, plotOptions } from "./plot";
import { reducedMotion, shownTheme } from "./settings";
import type { Span } from "./zoom";
import { clamp, scale, shift } from "./zoom";

export interface Zoom {
  span: Signal<Span | null>;
  key: string;
}

let zooms = 0;

export function useZoom(): Zoom {
  return useMemo(() => ({ span: signal<Span | null>(null), key: `zoom ${++zooms}` }), []);
}

export interface Picture {
  data: Columns;
  span: Span;
}

interface Props {
  look: Look;
  zoom: Zoom;
  data?: Columns;
  /** Null: nothing has changed since the last one. */
  feed?: () => Picture | null;
  class?: string;
}

const CALM_MS = 250;
const WHEEL = 1.2;

export function Chart(props: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [said, say] = useState("");
  const { look, zoom, data, feed } = props;
  const shown = useRef(props);
  shown.current = props;
  // Another plot for what uPlot cannot change: lines, colours, words.
  const kind = JSON.stringify([look.lines, look.title, look.phases, shownTheme(), language.value]);

  useEffect(() => {
    const element = place.current!;
    const size = () => ({ width: element.clientWidth, height: element.clientHeight });
    const options = plotOptions(look, size().width, size().height);
    const sync = { key: zoom.key, setSeries: false };
    const made = new uPlot(
      { ...options, cursor: { ...options.cursor, sync }, hooks: { ...options.hooks, setSelect: [select] } },
      // An empty chart has axes, too.
      (data ?? [[], ...look.lines.map(() => [])]) as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize(inner(element, size())));
    observer.observe(element);
    made.setSize(inner(element, size()));
    const stopTouch = followFingers(made, full, zoom);
    return () => {
      stopTouch();
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };

    function select(u: uPlot): void {
      const { left, width } = u.select;
      if (width > 4) zoom.span.value = clamp([u.posToVal(left, "x"), u.posToVal(left + width, "x")], full());
      u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    }
  }, [kind]);

  useEffect(() => {
    if (data) plot.current?.setData(data as uPlot.AlignedData, false);
    return zoom.span.subscribe((span) => {
      const [min, max] = span ?? full();
      if (!shown.current.feed || span) plot.current?.setScale("x", { min, max });
    });
  }, [data, kind, zoom]);

  useEffect(() => {
    if (!feed) return undefined;
    let frame = 0;
    let drawnAt = 0;
    const draw = (at: number) => {
      frame = requestAnimationFrame(draw);
      if (reducedMotion.matches && at - drawnAt < CALM_MS) return;
      const picture = feed();
      if (picture === null || plot.current === null) return;
      drawnAt = at;
      live.current = picture.span;
      const [min, max] = zoom.span.value ?? picture.span;
      plot.current.batch((u: uPlot) => {
        u.setData(picture.data as uPlot.AlignedData, false);
        u.setScale("x", { min, max });
      });
    };
    frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, [feed, kind]);

  const live = useRef<Span>([0, 1]);

  function full(): Span {
    if (shown.current.feed) return live.current;
    const times = shown.current.data?.[0] ?? [];
    const first = times[0] ?? 0;
    return [first, times[times.length - 1] ?? first + 1];
  }

  // A printer gets a drawing of its own, in the colours of paper and as sharp as paper is.
  useEffect(() => {
    const paper = document.createElement("canvas");
    paper.className = "on-paper";
    const draw = () => {
      const u = plot.current;
      if (!u) return;
      place.current!.append(paper);
      drawOnPaper(paper, shown.current.look, u.data, zoom.span.value ?? full());
    };
    const remove = () => paper.remove();
    window.addEventListener("beforeprint", draw);
    window.addEventListener("afterprint", remove);
    return () => {
      remove();
      window.removeEventListener("beforeprint", draw);
      window.removeEventListener("afterprint", remove);
    };
  }, [zoom]);

  function onKey(event: KeyboardEvent): void {
    const u = plot.current;
    if (!u || event.ctrlKey || event.altKey || event.metaKey) return;
    const all = full();
    const span = zoom.span.value ?? all;
    const at = u.cursor.idx != null ? (u.data[0][u.cursor.idx] ?? span[0]) : (span[0] + span[1]) / 2;
    if (event.key === "+" || event.key === "=") zoom.span.value = scale(span, all, 1 / 1.5, at);
    else if (event.key === "-") zoom.span.value = scale(span, all, 1.5, at);
    else if (event.key === "0" || event.key === "Escape") zoom.span.value = null;
    else if (event.key === "PageUp") zoom.span.value = shift(span, all, -0.5);
    else if (event.key === "PageDown") zoom.span.value = shift(span, all, 0.5);
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const step = ((span[1] - span[0]) / (event.shiftKey ? 10 : 100)) * (event.key === "ArrowLeft" ? -1 : 1);
      const next = Math.min(Math.max(at + step, span[0]), span[1]);
      moveCursor(u, u.valToPos(next, "x"));
      say(readOut(u, look));
    } else return;
    event.preventDefault();
  }

  return (
    <figure class={`chart ${props.class ?? ""}`}>
      <div
        ref={place}
        class="plot"
        tabIndex={0}
        role="group"
        aria-label={`${look.title}. ${t("chart_keys")}`}
        title={t("chart_keys")}
        onKeyDown={onKey}
        onDblClick={() => {
          zoom.span.value = null;
        }}
      />
      <output class="for-readers" aria-live="polite">
        {said}
      </output>
    </figure>
  );
}

/** The legend is part of uPlot's element, and as high as its words need. */
function inner(element: HTMLElement, size: { width: number; height: number }): { width: number; height: number } {
  const legend = element.querySelector<HTMLElement>(".u-legend");
  return { width: size.width, height: Math.max(80, size.height - (legend?.offsetHeight ?? 0)) };
}

function readOut(u: uPlot, look: Look): string {
  const index = u.cursor.idx;
  if (index == null) return "";
  return u.series
    .filter((_, number) => !look.lines[number - 1]?.edge)
    .map((series) => {
      const value = u.data[u.series.indexOf(series)]?.[index] ?? null;
      const text = typeof series.value === "function" ? series.value(u, value as number, 0, index) : value;
      return `${String(series.label)}: ${String(text)}`;
    })
    .join(", ");
}

/** Of all charts that share it: what uPlot's type does not tell is that the third argument publishes. */
function moveCursor(u: uPlot, left: number): void {
  const move = u.setCursor as (at: { left: number; top: number }, fire: boolean, publish: boolean) => void;
  move({ left, top: u.over.clientHeight / 2 }, true, true);
}

/** One finger moves the cursor, two zoom and pan; the wheel zooms, with Shift it pans. */
function followFingers(u: uPlot, full: () => Span, zoom: Zoom): () => void {
  const fingers = new Map<number, number>();
  const { over } = u;
  over.style.touchAction = "pan-y";
  const x = (event: PointerEvent | WheelEvent) => event.clientX - over.getBoundingClientRect().left;

  const down = (event: PointerEvent) => {
    if (event.pointerType === "touch") fingers.set(event.pointerId, x(event));
  };
  const move = (event: PointerEvent) => {
    if (!fingers.has(event.pointerId)) return;
    const before = [...fingers.values()];
    fingers.set(event.pointerId, x(event));
    const after = [...fingers.values()];
    if (after.length === 1) moveCursor(u, after[0]!);
    else if (after.length === 2) pinch(before as Span, after as Span);
  };
  const up = (event: PointerEvent) => fingers.delete(event.pointerId);
  const pinch = (before: Span, after: Span) => {
    const spread = Math.abs(after[1] - after[0]);
    if (spread < 10) return;
    const span = zoom.span.value ?? full();
    const middle = u.posToVal((before[0] + before[1]) / 2, "x");
    const scaled = scale(span, full(), Math.abs(before[1] - before[0]) / spread, middle) ?? full();
    const moved = (before[0] + before[1] - after[0] - after[1]) / 2 / over.clientWidth;
    zoom.span.value = shift(scaled, full(), moved);
  };
  const wheel = (event: WheelEvent) => {
    if (!event.ctrlKey && !event.shiftKey && document.activeElement !== over.closest(".plot")) return; // the page scrolls
    event.preventDefault();
    const span = zoom.span.value ?? full();
    const turn = event.deltaY || event.deltaX;
    zoom.span.value = event.shiftKey
      ? shift(span, full(), Math.sign(turn) * 0.1)
      : scale(span, full(), turn > 0 ? WHEEL : 1 / WHEEL, u.posToVal(x(event), "x"));
  };
  const listeners: [string, (event: never) => void][] = [
    ["pointerdown", down],
    ["pointermove", move],
    ["pointerup", up],
    ["pointercancel", up],
    ["wheel", wheel],
  ];
  for (const [name, listener] of listeners) {
    over.addEventListener(name, listener as EventListener, { passive: false });
  }
  return () => {
    for (const [name, listener] of listeners) over.removeEventListener(name, listener as EventListener);
  };
}
