/**
 * The samples of the last minutes, and what of them is worth drawing.
 *
 * Pure. Memory is fixed: the oldest sample makes room for the newest.
 */

export class Series {
  private readonly columns: Float64Array[];
  private first = 0;
  length = 0;

  /** Of each sample the first value is its time; `gapS` without one is drawn as a gap. */
  constructor(
    private readonly capacity: number,
    width: number,
    private readonly gapS: number,
  ) {
    this.columns = Array.from({ length: width }, () => new Float64Array(capacity));
  }

  push(...values: number[]): void {
    const time = values[0]!;
    if (this.length > 0) {
      const last = this.at(0, this.length - 1);
      // Time that goes back (a clock that was set): what was before cannot be drawn beside it.
      if (time < last) this.clear();
      else if (time - last > this.gapS) this.append([last + this.gapS / 2, ...values.slice(1).map(() => NaN)]);
    }
    this.append(values);
  }

  clear(): void {
    this.first = this.length = 0;
  }

  at(column: number, index: number): number {
    return this.columns[column]![(this.first + index) % this.capacity]!;
  }

  get lastTime(): number | null {
    return this.length > 0 ? this.at(0, this.length - 1) : null;
  }

  /** The number of the first sample that is not before this time. */
  indexOf(time: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at(0, middle) < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Between the two samples around this time; null where there are none, or a gap. */
  valueAt(column: number, time: number): number | null {
    const after = this.indexOf(time);
    if (after >= this.length || (after === 0 && this.at(0, 0) !== time)) return null;
    const value = this.at(column, after);
    if (after === 0 || this.at(0, after) === time) return Number.isNaN(value) ? null : value;
    const before = this.at(column, after - 1);
    const share = (time - this.at(0, after - 1)) / (this.at(0, after) - this.at(0, after - 1));
    const between = before + share * (value - before);
    return Number.isNaN(between) ? null : between;
  }

  /** Between two times, and one sample more at each end, for lines that leave the picture. */
  columnsBetween(from: number, to: number): (number | null)[][] {
    const begin = Math.max(0, this.indexOf(from) - 1);
    const end = Math.min(this.length, this.indexOf(to) + 1);
    return this.columns.map((_, column) => {
      const values: (number | null)[] = [];
      for (let index = begin; index < end; index++) {
        const value = this.at(column, index);
        values.push(Number.isNaN(value) ? null : value);
      }
      return values;
    });
  }

  private append(values: number[]): void {
    const index = (this.first + this.length) % this.capacity;
    values.forEach((value, column) => {
      this.columns[column]![index] = value;
    });
    if (this.length < this.capacity) this.length += 1;
    else this.first = (this.first + 1) % this.capacity;
  }
}

/**
 * As many samples as can be told apart on so many pixels: of each column of pixels the first and the last,
 * and of each curve the lowest and the highest, so that no peak is lost. Gaps stay.
 */
export function decimate(columns: (number | null)[][], pixels: number): (number | null)[][] {
  const times = columns[0] ?? [];
  const curves = columns.slice(1);
  if (times.length <= 4 * pixels || pixels < 1) return columns;
  const kept: number[] = [];
  const share = times.length / pixels;
  for (let pixel = 0; pixel < pixels; pixel++) {
    const begin = Math.floor(pixel * share);
    const end = Math.floor((pixel + 1) * share);
    const chosen = new Set([begin, end - 1]);
    for (const curve of curves) {
      let low = -1;
      let high = -1;
      for (let index = begin; index < end; index++) {
        const value = curve[index];
        if (value === null || value === undefined) chosen.add(index);
        else {
          if (low < 0 || value < curve[low]!) low = index;
          if (high < 0 || value > curve[high]!) high = index;
        }
      }
      if (low >= 0) chosen.add(low).add(high);
    }
    kept.push(...[...chosen].sort((a, b) => a - b));
  }
  return columns.map((column) => kept.map((index) => column[index] ?? null));
}
