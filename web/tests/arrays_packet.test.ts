import { expect, test } from "vitest";
import { decode } from "../src/arrays/packet";
import docs from "../../docs/arrays.md?raw";

/** As docs/arrays.md has it. */
function message(points: [number, number][], more: Partial<{ magic: string; version: number; kind: number; header: number; count: number; fresh: number; total: bigint }> = {}): ArrayBuffer {
  const { magic = "LSIG", version = 1, kind = 1, header = 40, count = points.length, fresh = 1, total = 7n } = more;
  const buffer = new ArrayBuffer(header + 16 * points.length);
  const view = new DataView(buffer);
  [...magic].forEach((letter, at) => view.setUint8(at, letter.charCodeAt(0)));
  view.setUint8(4, version);
  view.setUint8(5, kind);
  view.setUint16(6, header, true);
  view.setUint32(8, 0xfffffffe, true);
  view.setUint32(12, count, true);
  view.setFloat64(16, 1795314944.61, true);
  view.setUint32(24, fresh, true);
  view.setBigUint64(32, total, true);
  points.forEach(([x, y], index) => {
    view.setFloat64(header + 8 * index, x, true);
    view.setFloat64(header + 8 * (points.length + index), y, true);
  });
  return buffer;
}

test("a packet is read", () => {
  const packet = decode(message([[1, -5], [2, NaN], [3, Infinity]], { fresh: 2, total: 2n ** 40n + 3n }));
  expect(packet).toMatchObject({ sequence: 0xfffffffe, timestamp: 1795314944.61, fresh: 2, total: 2 ** 40 + 3 });
  expect([...packet!.x]).toEqual([1, 2, 3]);
  expect([...packet!.y]).toEqual([-5, NaN, Infinity]);
});

test("one without points is a packet", () => {
  expect(decode(message([]))).toMatchObject({ x: new Float64Array(0), y: new Float64Array(0) });
});

test.each([41, 44, 48, 100])("a longer header of %i octets, of a listener to come, is no trouble", (header) => {
  expect([...decode(message([[1, 2], [3, 4]], { header }))!.y]).toEqual([2, 4]);
});

test.each([
  ["another magic", message([[1, 2]], { magic: "LSIH" })],
  ["another version", message([[1, 2]], { version: 2 })],
  ["other numbers", message([[1, 2]], { kind: 2 })],
  ["more points promised than there are", message([[1, 2]], { count: 2 })],
  ["fewer points promised than there are", message([[1, 2]], { count: 0 })],
  ["a count beyond all memory", message([[1, 2]], { count: 0xffffffff })],
  ["a packet that is cut", message([[1, 2]]).slice(0, 50)],
  ["a header that is cut", message([]).slice(0, 39)],
  ["a header within itself", (() => {
    const cut = message([[1, 2]]);
    new DataView(cut).setUint16(6, 8, true);
    return cut;
  })()],
  ["nothing", new ArrayBuffer(0)],
])("%s is no packet", (_, buffer) => {
  expect(decode(buffer)).toBeNull();
});

test("the documented header is the one that is read", () => {
  const rows = [...docs.matchAll(/^\| (\d+) \| (4 octets|u8|u16|u32|f64|u64) \|/gm)].map(([, offset, type]) => `${offset} ${type}`);
  expect(rows).toEqual(["0 4 octets", "4 u8", "5 u8", "6 u16", "8 u32", "12 u32", "16 f64", "24 u32", "28 u32", "32 u64"]);
});
