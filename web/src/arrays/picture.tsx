/** A plane of numbers as a picture: what a colour means stands beside it, and the value under the pointer. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { figure, t } from "../i18n";
import { colourOf, painted } from "./colours";
import type { Grid } from "./look";

const SCALE = 256;

interface Props {
  grid: Grid;
  /** Of how many rows, and columns, one is there. */
  rowStep: number;
  columnStep: number;
}

export function Heat({ grid, rowStep, columnStep }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scale = useRef<HTMLCanvasElement>(null);
  const at = useSignal<[number, number] | null>(null);
  const { width, height, values, low, high } = grid;
  useEffect(() => {
    canvas.current!.getContext("2d")!.putImageData(new ImageData(painted(grid), width, height), 0, 0);
    const octets = new Uint8ClampedArray(4 * SCALE);
    for (let x = 0; x < SCALE; x += 1) octets.set([...colourOf(x / (SCALE - 1)), 255], 4 * x);
    scale.current!.getContext("2d")!.putImageData(new ImageData(octets, SCALE, 1), 0, 0);
  }, [grid]);
  const point = (event: PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * height);
    at.value = [inside(x, width), inside(y, height)];
  };
  const onKey = (event: KeyboardEvent) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by || event.ctrlKey || event.altKey || event.metaKey) return;
    const [x, y] = at.value ?? [0, 0];
    at.value = at.value === null ? [0, 0] : [inside(x + by[0]!, width), inside(y + by[1]!, height)];
    event.preventDefault();
  };
  const [x, y] = at.value ?? [0, 0];
  const value = values[y * width + x];
  const words = { row: String(y * rowStep), column: String(x * columnStep), value: value === undefined || Number.isNaN(value) ? "–" : shortNumber(value) };
  return (
    <figure class="heat">
      <canvas
        ref={canvas}
        width={width}
        height={height}
        tabIndex={0}
        role="img"
        aria-label={t("ar_picture", { rows: height, columns: width })}
        onPointerMove={point}
        onPointerDown={point}
        onKeyDown={onKey}
      />
      <figcaption>
        <span>{Number.isFinite(low) ? shortNumber(low) : "–"}</span>
        <canvas ref={scale} class="scale" width={SCALE} height={1} aria-hidden="true" />
        <span>{Number.isFinite(high) ? shortNumber(high) : "–"}</span>
        <output aria-live="polite">{at.value === null ? t("ar_point") : t("ar_pointed", words)}</output>
      </figcaption>
    </figure>
  );
}

function inside(value: number, length: number): number {
  return Math.min(Math.max(value, 0), length - 1);
}

/** With five figures that count. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e7 || size < 1e-3)) return value.toExponential(3);
  const digits = size === 0 ? 0 : Math.min(6, Math.max(0, 4 - Math.floor(Math.log10(size))));
  return figure(value, Number.isInteger(value) ? 0 : digits);
}
