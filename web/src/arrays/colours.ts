/** Colours of a picture, for who sees colours otherwise, too: viridis by Smith and van der Walt (CC0). Pure. */

import type { Grid } from "./look";

const STOPS = [0x440154, 0x482878, 0x3e4989, 0x31688e, 0x26828e, 0x1f9e89, 0x35b779, 0x6ece58, 0xb5de2b, 0xfde725];

/** `share` from 0 to 1. */
export function colourOf(share: number): [number, number, number] {
  const at = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1);
  const below = Math.min(Math.floor(at), STOPS.length - 2);
  const mix = (shift: number) => {
    const one = (STOPS[below]! >> shift) & 255;
    return Math.round(one + (at - below) * (((STOPS[below + 1]! >> shift) & 255) - one));
  };
  return [mix(16), mix(8), mix(0)];
}

/** Red, green, blue, opacity of each; what is no number is not painted. */
export function painted({ width, height, values, low, high }: Grid): Uint8ClampedArray<ArrayBuffer> {
  const octets = new Uint8ClampedArray(4 * width * height);
  values.forEach((value, index) => {
    if (Number.isNaN(value)) return;
    octets.set(colourOf(high > low ? (value - low) / (high - low) : 0.5), 4 * index);
    octets[4 * index + 3] = 255;
  });
  return octets;
}
