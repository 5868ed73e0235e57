/**
 * The mean and the standard deviation of the last `span` values, at every value.
 *
 * Pure. In time that does not depend on `span`, and without ever taking a value away again, which would leave
 * its rounding errors behind: of each block of `span` values what is known from its beginning on, and of the
 * block before what is known to its end, together are the last `span`.
 *
 * Nothing is said before there are `span` values, and of values of which none is finite. The deviation is that
 * of the values themselves, divided by their number (as numpy's `std`).
 */

export interface Rolling {
  mean: (number | null)[];
  deviation: (number | null)[];
}

/** Count, mean, sum of squares around it. */
type Known = readonly [number, number, number];

const NOTHING: Known = [0, 0, 0];

export function rolling(values: ArrayLike<number | null>, span: number): Rolling {
  const length = values.length;
  const mean = new Array<number | null>(length).fill(null);
  const deviation = new Array<number | null>(length).fill(null);
  /** Of the block before: at [i] what is known of its values from the i-th on. */
  let before: Known[] = [];
  for (let begin = 0; begin < length; begin += span) {
    const end = Math.min(begin + span, length);
    let known = NOTHING;
    for (let index = begin; index < end; index += 1) {
      known = together(known, of(values[index]));
      if (index < span - 1) continue;
      const [count, middle, squares] = together(before[index - begin + 1] ?? NOTHING, known);
      if (count === 0) continue;
      mean[index] = middle;
      deviation[index] = Math.sqrt(Math.max(0, squares) / count);
    }
    before = new Array<Known>(end - begin);
    let rest = NOTHING;
    for (let index = end - 1; index >= begin; index -= 1) {
      rest = together(of(values[index]), rest);
      before[index - begin] = rest;
    }
  }
  return { mean, deviation };
}

function of(value: number | null | undefined): Known {
  return typeof value === "number" && Number.isFinite(value) ? [1, value, 0] : NOTHING;
}

/** Chan, Golub and LeVeque, 1979. */
function together(one: Known, other: Known): Known {
  if (one[0] === 0) return other;
  if (other[0] === 0) return one;
  const count = one[0] + other[0];
  const apart = other[1] - one[1];
  const share = other[0] / count;
  return [count, one[1] + apart * share, one[2] + other[2] + apart * apart * one[0] * share];
}
