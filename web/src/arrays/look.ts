/**
 * A quick look at an array: what to ask for, and what the answer is to the eye.
 *
 * Pure. Never more than some values are asked for, whatever the size of the array: of rows and of columns one in so
 * many. The API slices no third axis: of planes whose rows are too long only the beginning of one row is looked at.
 */

/** What `GET /array/{index}` answers. */
export interface Answer {
  shape: number[];
  dtype: string;
  data: unknown;
}

export type Plan =
  | { kind: "empty" }
  /** One value, which has no rows. */
  | { kind: "value" }
  /** Each column a curve; with `across` each row, and `rows` says which of its columns are there. */
  | { kind: "curves"; rows: Rows; across: boolean }
  /** The beginning of the first row, of which no more is read. */
  | { kind: "beginning"; rows: Rows; count: number }
  | { kind: "picture"; rows: Rows; cols: Rows; layers: number }
  | { kind: "table"; rows: Rows }
  | { kind: "too_wide" };

export interface Rows {
  from: number;
  to: number;
  step: number;
}

export const CURVE_VALUES = 10_000;
export const PICTURE_VALUES = 100_000;
const TABLE_ROWS = 20;
export const TABLE_COLUMNS = 12;
/** Of what a table is made of. */
const TABLE_OCTETS = 200_000;
/** A picture that is narrower is none. */
const CURVES = 6;

export function planOf(shape: readonly number[], dtype: string, octets: number, layer = 0): Plan {
  const [count = 1, ...inner] = shape;
  const wide = inner.reduce((product, each) => product * each, 1);
  if (count * wide === 0) return { kind: "empty" };
  if (shape.length === 0) return { kind: "value" };
  if (!isPlain(dtype)) {
    const fitting = Math.floor(Math.min(TABLE_OCTETS / (octets / count), CURVE_VALUES / wide));
    return fitting < 1 ? { kind: "too_wide" } : { kind: "table", rows: { from: 0, to: Math.min(count, TABLE_ROWS, fitting), step: 1 } };
  }
  if (shape.length === 1) return { kind: "curves", rows: every(count, CURVE_VALUES), across: false };
  if (shape.length > 2 && wide / inner[0]! > PICTURE_VALUES) return { kind: "beginning", rows: { from: 0, to: 1, step: 1 }, count: CURVE_VALUES };
  if (shape.length === 2 && wide <= CURVES && count >= wide) {
    return { kind: "curves", rows: every(count, Math.floor(CURVE_VALUES / wide)), across: false };
  }
  if (shape.length === 2 && count <= CURVES) return { kind: "curves", rows: every(wide, Math.floor(CURVE_VALUES / count)), across: true };
  if (shape.length === 2) return { kind: "picture", ...plane(count, wide), layers: 1 };
  const from = Math.min(Math.max(0, layer), count - 1);
  const cols = shape.length === 3 ? every(inner[0]!, Math.floor(PICTURE_VALUES / inner[1]!)) : { from: 0, to: 1, step: 1 };
  return { kind: "picture", rows: { from, to: from + 1, step: 1 }, cols, layers: count };
}

/** Numbers that a curve can have. */
export function isPlain(dtype: string): boolean {
  return /^[<>=|]?(u?int\d+|float\d+|[iuf]\d+)$/.test(dtype);
}

/** As many rows and columns as a picture has; of both alike where both are too many. */
function plane(count: number, wide: number): { rows: Rows; cols: Rows } {
  const side = Math.floor(Math.sqrt(PICTURE_VALUES));
  const cols = every(wide, Math.max(side, Math.floor(PICTURE_VALUES / count)));
  const most = cols.step > 1 && count > side ? side : Math.floor(PICTURE_VALUES / lengthOf(cols));
  return { rows: every(count, most), cols };
}

export function lengthOf({ from, to, step }: Rows): number {
  return Math.ceil((to - from) / step);
}

function every(count: number, most: number): Rows {
  return { from: 0, to: count, step: Math.ceil(count / Math.max(1, most)) };
}

/** Of a part of a curve more of its rows; null where there are no more. */
export function closer({ to, step }: Rows, [begin, end]: readonly [number, number], curves: number): Rows | null {
  const first = Math.min(Math.max(0, Math.floor(begin)), to - 1);
  const last = Math.min(to, Math.ceil(end) + 1);
  const found = every(last - first, Math.floor(CURVE_VALUES / curves));
  return last - first > 1 && found.step < step ? { from: first, to: last, step: found.step } : null;
}

/** A Python slice. */
export function sliceOf({ from, to, step }: Rows): string {
  return `${from}:${to}${step > 1 ? `:${step}` : ""}`;
}

/** For a curve: null where there is no number, or none that can be drawn. */
export function drawable(value: unknown): number | null {
  return typeof value === "number" && Math.abs(value) <= 1e300 ? value : null;
}

export interface Curves {
  /** Number of the row, or within it, and a column for each curve. */
  columns: (number | null)[][];
  odd: number;
}

export function curvesOf(data: unknown, { from, step }: Rows, across: boolean): Curves {
  const rows = data as unknown[];
  const isFlat = !Array.isArray(rows[0]);
  const curves = isFlat ? [rows] : across ? (rows as unknown[][]) : transposed(rows as unknown[][]);
  const length = curves[0]?.length ?? 0;
  let odd = 0;
  const values = curves.map((curve) =>
    curve.map((each) => {
      const found = drawable(each);
      if (found === null) odd += 1;
      return found;
    }),
  );
  const numbers = Array.from({ length }, (_, index) => from + index * step);
  return { columns: [numbers, ...values], odd };
}

/** What is known of a part more exactly, within the whole. */
export function merged(whole: Curves["columns"], part: Curves["columns"]): Curves["columns"] {
  const [places = []] = whole;
  const first = part[0]?.[0] ?? Infinity;
  const last = part[0]?.at(-1) ?? Infinity;
  const before = places.findIndex((each) => each! >= first);
  const after = places.findIndex((each) => each! > last);
  return whole.map((column, index) => [
    ...column.slice(0, before < 0 ? undefined : before),
    ...part[index]!,
    ...(after < 0 ? [] : column.slice(after)),
  ]);
}

function transposed(rows: unknown[][]): unknown[][] {
  return (rows[0] ?? []).map((_, column) => rows.map((row) => row[column]));
}

/** The first numbers of an answer that was not read to its end; the last one may be cut, and is left out. */
export function beginningOf(text: string, most: number): unknown[] {
  const begin = text.indexOf('"data":');
  const inside = text.slice(begin + '"data":'.length).replace(/^[[\s]+/, "");
  const end = inside.indexOf("]");
  const whole = end >= 0 ? inside.slice(0, end) : inside.slice(0, Math.max(0, inside.lastIndexOf(",")));
  return (JSON.parse(`[${whole}]`) as unknown[]).slice(0, most);
}

export interface Grid {
  width: number;
  height: number;
  /** NaN where there is no number. */
  values: Float64Array;
  low: number;
  high: number;
  odd: number;
}

/** A plane of numbers; of more dimensions the first one. */
export function gridOf(data: unknown, dimensions: number): Grid {
  let plane = data as unknown[];
  for (let left = dimensions; left > 2; left -= 1) plane = plane[0] as unknown[];
  const rows = plane as unknown[][];
  const width = rows[0]?.length ?? 0;
  const grid: Grid = { width, height: rows.length, values: new Float64Array(width * rows.length), low: Infinity, high: -Infinity, odd: 0 };
  rows.forEach((row, y) => {
    row.forEach((each, x) => {
      const value = drawable(each);
      grid.values[y * width + x] = value ?? NaN;
      if (value === null) grid.odd += 1;
      else {
        grid.low = Math.min(grid.low, value);
        grid.high = Math.max(grid.high, value);
      }
    });
  });
  return grid;
}

export interface Numbers {
  count: number;
  low: number;
  high: number;
  mean: number;
  deviation: number;
}

/** Of what is shown. */
export function numbersOf(values: Iterable<number | null>): Numbers | null {
  let [count, mean, squares, low, high] = [0, 0, 0, Infinity, -Infinity];
  for (const value of values) {
    if (value === null || Number.isNaN(value)) continue;
    count += 1;
    const apart = value - mean;
    mean += apart / count;
    squares += apart * (value - mean);
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return count === 0 ? null : { count, low, high, mean, deviation: Math.sqrt(squares / count) };
}

/** Any value as people read it. */
export function textOfValue(value: unknown, dtype: string): string {
  if (Array.isArray(value)) {
    if (/complex|^[<>]?c\d/.test(dtype) && value.length === 2 && !Array.isArray(value[0])) return complexText(value[0], value[1]);
    return `(${value.map((each) => textOfValue(each, "")).join(", ")})`;
  }
  return String(value);
}

function complexText(real: unknown, imaginary: unknown): string {
  const text = String(imaginary);
  return text.startsWith("-") ? `${String(real)} − ${text.slice(1)} i` : `${String(real)} + ${text} i`;
}

/** `dtype` of a record names its fields: "[('a', '<i4'), ('b', '<f8')]". */
export function fieldsOf(dtype: string): string[] {
  if (!dtype.startsWith("[") && !dtype.startsWith("{")) return [];
  if (dtype.startsWith("{")) {
    const names = /'names': \[([^\]]*)\]/.exec(dtype)?.[1] ?? "";
    return [...names.matchAll(/'((?:[^'\\]|\\.)*)'/g)].map(([, name]) => name!);
  }
  // Only of the outermost list, not of records within.
  const names: string[] = [];
  let depth = 0;
  for (const [, open, close, name] of dtype.matchAll(/([[(])|([\])])|'((?:[^'\\]|\\.)*)'/g)) {
    if (open) depth += 1;
    else if (close) depth -= 1;
    else if (name !== undefined && depth === 2 && isFirst(dtype, name)) names.push(name);
  }
  return names;
}

function isFirst(dtype: string, name: string): boolean {
  return dtype.includes(`('${name}', `);
}

export interface Table {
  head: string[];
  rows: { number: number; cells: string[] }[];
  /** Columns that are not shown. */
  more: number;
}

export function tableOf({ shape, dtype, data }: Answer, from = 0): Table {
  const fields = shape.length === 1 ? fieldsOf(dtype) : [];
  const isFlat = shape.length === 1 && fields.length === 0;
  const all = (data as unknown[]).map((row) => (isFlat ? [row] : (row as unknown[])));
  const width = Math.max(0, ...all.map((row) => row.length));
  const shown = Math.min(width, TABLE_COLUMNS);
  const head = fields.length === width ? fields : isFlat ? [""] : Array.from({ length: width }, (_, index) => String(index));
  return {
    head: head.slice(0, shown),
    rows: all.map((row, index) => ({ number: from + index, cells: row.slice(0, shown).map((each) => textOfValue(each, dtype)) })),
    more: width - shown,
  };
}
