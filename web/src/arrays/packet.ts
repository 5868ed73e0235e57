/**
 * A binary message of `/ws/stream`, see "Binary" in docs/arrays.md: octets in, a packet out, null for what is none.
 *
 * Pure. Points are copied only where they do not lie as this computer wants them.
 */

export interface Packet {
  /** Of the packets of this stream, modulo 2³². */
  sequence: number;
  timestamp: number;
  /** So many at the end were not in the packet before. */
  fresh: number;
  /** Points of this stream so far, with these. */
  total: number;
  x: Float64Array;
  y: Float64Array;
}

const MAGIC = 0x4c534947; // LSIG
const VERSION = 1;
const FLOAT64 = 1;
const HEADER = 40;
const OCTETS = 8;
const LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

export function decode(message: ArrayBuffer): Packet | null {
  if (message.byteLength < HEADER) return null;
  const view = new DataView(message);
  if (view.getUint32(0) !== MAGIC || view.getUint8(4) !== VERSION || view.getUint8(5) !== FLOAT64) return null;
  // A later listener may have more to say there.
  const begin = view.getUint16(6, true);
  const count = view.getUint32(12, true);
  if (begin < HEADER || message.byteLength !== begin + 2 * count * OCTETS) return null;
  return {
    sequence: view.getUint32(8, true),
    timestamp: view.getFloat64(16, true),
    fresh: view.getUint32(24, true),
    total: view.getUint32(32, true) + 2 ** 32 * view.getUint32(36, true),
    x: floats(message, begin, count),
    y: floats(message, begin + count * OCTETS, count),
  };
}

function floats(message: ArrayBuffer, begin: number, count: number): Float64Array {
  if (LITTLE) return new Float64Array(begin % OCTETS ? message.slice(begin, begin + count * OCTETS) : message, begin % OCTETS ? 0 : begin, count);
  const view = new DataView(message, begin);
  return Float64Array.from({ length: count }, (_, index) => view.getFloat64(index * OCTETS, true));
}
